"""Money: `Decimal` in the currency's units, with exactly the digits that the currency has."""

from decimal import Decimal, localcontext

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from saga_app.core import money


@pytest.mark.parametrize(
    ("currencies", "digits"),
    [("GBP EUR USD CHF HUF MGA", 2), ("JPY KRW CLP ISK VND", 0), ("BHD IQD JOD KWD LYD OMR TND", 3)],
)
def test_a_currency_has_the_digits_of_iso_4217(currencies: str, digits: int) -> None:
    assert {money.DIGITS[currency] for currency in currencies.split()} == {digits}


def test_codes_are_three_capital_letters_and_each_is_listed_once() -> None:
    assert all(len(code) == 3 and code.isalpha() and code.isupper() for code in money.DIGITS)
    listed = f"{money._TWO_DIGITS} {money._NO_DIGITS} {money._THREE_DIGITS}".split()
    assert len(listed) == len(set(listed)) == len(money.DIGITS)


@pytest.mark.parametrize(
    ("amount", "currency", "normal"),
    [
        ("500", "GBP", "500.00"),
        ("500.000", "GBP", "500.00"),
        ("0", "GBP", "0.00"),
        ("-0", "GBP", "0.00"),
        ("1E+2", "JPY", "100"),
        ("100.0", "JPY", "100"),
        ("0.001", "BHD", "0.001"),
        ("-3.5", "GBP", "-3.50"),
        ("999999999999.99", "GBP", "999999999999.99"),
        ("1000000000000", "GBP", "1000000000000.00"),
    ],
)
def test_an_amount_gets_exactly_the_currencys_digits(amount: str, currency: str, normal: str) -> None:
    assert str(money.normal(Decimal(amount), currency)) == normal
    assert money.is_normal(money.normal(Decimal(amount), currency), currency)


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        ("0.001", "GBP"),
        ("0.5", "JPY"),
        ("0.0001", "BHD"),
        ("NaN", "GBP"),
        ("sNaN", "GBP"),
        ("Infinity", "GBP"),
        ("-Infinity", "GBP"),
        ("1000000000000.01", "GBP"),
        ("-1000000000000.01", "GBP"),
        ("1E+999999", "GBP"),
        ("1E-999999", "GBP"),
        ("9007199254740993.01", "GBP"),
    ],
)
def test_an_amount_that_would_change_or_is_no_number_or_too_large_is_refused(
    amount: str, currency: str
) -> None:
    with pytest.raises(ValueError, match=r"digits|finite|at most"):
        money.normal(Decimal(amount), currency)


@pytest.mark.parametrize(
    ("amount", "is_normal"),
    [
        ("1.00", True),
        ("1", False),
        ("1.0", False),
        ("1.000", False),
        ("1E+2", False),
        ("NaN", False),
        ("Infinity", False),
        ("1000000000000.01", False),
    ],
)
def test_only_an_amount_with_exactly_the_digits_is_normal(amount: str, is_normal: bool) -> None:
    assert money.is_normal(Decimal(amount), "GBP") is is_normal


@for_all(st.decimals(-(10**12), 10**12, places=2))
def test_no_amount_is_ever_rounded(amount: Decimal) -> None:
    assert money.normal(amount, "GBP") == amount


@for_all(st.integers(1, 10**12 - 1).map(lambda number: Decimal(number).scaleb(-3)))
def test_a_third_digit_of_pounds_is_refused_unless_it_is_zero(amount: Decimal) -> None:
    if amount == amount.quantize(Decimal("0.01")):
        assert money.normal(amount, "GBP") == amount
    else:
        with pytest.raises(ValueError, match=r"digits|finite|at most"):
            money.normal(amount, "GBP")


def test_the_surrounding_decimal_context_does_not_matter() -> None:
    with localcontext() as context:
        context.prec = 3
        assert str(money.normal(Decimal("123456.78"), "GBP")) == "123456.78"
