"""The amount of an order and its parts, checked exactly: lines + shipping + tax - discount = amount.

Each part may be left out. `tax` is what is added to the lines: where prices include it, there is none to add.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final, NamedTuple, Protocol

from saga_app.core import money

#: The parts of an amount beside the lines, as fields of an order.
PARTS: Final = ("shipping", "tax", "discount")
_NONE: Final = Decimal(0)


class Priced(Protocol):
    """A line of an order with its price for one unit, its total, both or neither."""

    @property
    def sku(self) -> str: ...
    @property
    def quantity(self) -> int: ...
    @property
    def unit_price(self) -> Decimal | None: ...
    @property
    def total(self) -> Decimal | None: ...


class Amounts(NamedTuple):
    """The amount of an order and the parts that it states, each with the digits of its currency."""

    amount: Decimal
    shipping: Decimal | None = None
    tax: Decimal | None = None
    discount: Decimal | None = None


def amounts(
    currency: str,
    amount: Decimal | None,
    lines: Iterable[Priced],
    shipping: Decimal | None = None,
    tax: Decimal | None = None,
    discount: Decimal | None = None,
) -> Amounts:
    """The amounts of an order in normal form; `ValueError` with the figures if they do not agree.

    The amount may be left out if every line has a price. If one has none, the lines that have may come to less.
    """
    stated = _normal(amount, currency)
    parts = (_normal(shipping, currency), _normal(tax, currency), _normal(discount, currency))
    known, is_whole = _lines(lines, currency)
    if stated is None and not is_whole:
        raise ValueError("amount is required unless every line has a unit_price or a total")
    added = money.normal(known + _added(parts), currency)
    if stated is None and added < 0:
        raise ValueError(f"the discount is more than all else: {_sum(known, parts, added)}")
    if stated is not None and is_whole and added != stated:
        raise ValueError(
            f"amount {stated} is not the sum of the lines {added}"
            if parts == (None, None, None)
            else f"amount {stated} is not the sum of its parts: {_sum(known, parts, added)}"
        )
    if stated is not None and added > stated:
        raise ValueError(
            f"amount {stated} is less than the lines that have a price, {added}"
            if parts == (None, None, None)
            else f"amount {stated} is less than its parts: {_sum(known, parts, added)}"
        )
    return Amounts(added if stated is None else stated, *parts)


def require_parts(currency: str, found: Amounts) -> None:
    """`ValueError` if these are no amounts in normal form, or leave less than nothing for the lines."""
    for each in found:
        if each is not None and (not money.is_normal(each, currency) or each < 0):
            raise ValueError("the amount is not in normal form")
    if found[1:] != (None, None, None) and _added(found[1:]) > found.amount:
        raise ValueError("shipping and tax without the discount are more than the amount")


def _lines(lines: Iterable[Priced], currency: str) -> tuple[Decimal, bool]:
    """The sum of the lines that have a price, and if all have one."""
    known, is_whole = _NONE, None
    for line in lines:
        total = _normal(line.total, currency)
        if total is not None:
            known += total
            _require_product(line, total, currency)
        elif line.unit_price is not None:
            price = _normal(line.unit_price, currency)
            assert price is not None
            known = money.EXACT.fma(price, line.quantity, known)
        is_whole = is_whole is not False and (total is not None or line.unit_price is not None)
    return known, is_whole is True


def _require_product(line: Priced, total: Decimal, currency: str) -> None:
    """A total is the price of one times the quantity, rounded up or down if the price has more digits."""
    if line.unit_price is None:
        return
    _require_positive(line.unit_price)
    product = money.EXACT.multiply(line.unit_price, Decimal(line.quantity))
    if abs(product - total) >= Decimal(1).scaleb(-money.DIGITS[currency]):
        raise ValueError(
            f"line {line.sku} has total {total}, but {line.quantity} times unit_price {line.unit_price:f} is "
            f"{product:f}"
        )


def _normal(value: Decimal | None, currency: str) -> Decimal | None:
    if value is None:
        return None
    result = money.normal(value, currency)
    _require_positive(value)
    return result


def _require_positive(value: Decimal) -> None:
    if value < 0:
        raise ValueError("amount and prices must not be negative")


def _added(parts: Iterable[Decimal | None]) -> Decimal:
    shipping, tax, discount = (each or _NONE for each in parts)
    return shipping + tax - discount


def _sum(known: Decimal, parts: tuple[Decimal | None, ...], added: Decimal) -> str:
    """The calculation in words, without the parts that are not stated."""
    named = zip(("+ shipping", "+ tax", "- discount"), parts, strict=True)
    return f"lines {known} {' '.join(f'{name} {each}' for name, each in named if each is not None)} = {added}"
