"""Money: `Decimal` in the currency's units, with exactly the digits that the currency has."""

from decimal import ROUND_DOWN, Context, Decimal, Inexact, InvalidOperation
from typing import Final

#: Largest amount of one record, in units of its currency.
LARGEST: Final = Decimal(10) ** 12

_TWO_DIGITS = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC "
    "CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR "
    "JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD "
    "NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN "
    "SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG"
)
_NO_DIGITS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE_DIGITS = "BHD IQD JOD KWD LYD OMR TND"

#: Digits after the point, by ISO 4217 code (the active currencies of the standard's list one).
DIGITS: Final[dict[str, int]] = {
    **dict.fromkeys(_TWO_DIGITS.split(), 2),
    **dict.fromkeys(_NO_DIGITS.split(), 0),
    **dict.fromkeys(_THREE_DIGITS.split(), 3),
}

_QUANTUM: Final = {code: Decimal(1).scaleb(-digits) for code, digits in DIGITS.items()}
#: Money is added and multiplied in this context: a sum that does not fit is an error, never a rounding.
EXACT: Final = Context(prec=60, rounding=ROUND_DOWN, traps=[Inexact, InvalidOperation])


def normal(amount: Decimal, currency: str) -> Decimal:
    """The amount with exactly the currency's digits; `ValueError` if that would change it."""
    if not amount.is_finite():
        raise ValueError("an amount must be a finite number")
    if amount.copy_abs() > LARGEST:
        raise ValueError(f"an amount must be at most {LARGEST}")
    try:
        result = amount.quantize(_QUANTUM[currency], context=EXACT)
    except (Inexact, InvalidOperation):
        raise ValueError(f"{currency} has {DIGITS[currency]} digits after the point") from None
    return abs(result) if result.is_zero() else result


def is_normal(amount: Decimal, currency: str) -> bool:
    """True if the amount is finite, not too large, and has exactly the currency's digits."""
    return amount.as_tuple().exponent == -DIGITS[currency] and amount.copy_abs() <= LARGEST
