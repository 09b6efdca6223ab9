"""Articles as people type them: SKU:QUANTITY, in an order also SKU:QUANTITY:PRICE."""

import re
from typing import Any, Final

from saga_app.core.errors import Fault, Rejected
from saga_app.wire import masked

#: Longer numbers than this are refused by the models as well.
_QUANTITY: Final = re.compile(r"[0-9]{1,15}", re.ASCII)


def article(text: str) -> dict[str, Any]:
    """The fields of SKU:QUANTITY; `Rejected` if it is not written so."""
    return _split(text, 2, "SKU:QUANTITY, as in MUG:100")


def priced_article(text: str) -> dict[str, Any]:
    """The fields of SKU:QUANTITY or SKU:QUANTITY:PRICE; `Rejected` if it is not written so."""
    return _split(text, 3, "SKU:QUANTITY or SKU:QUANTITY:PRICE, as in MUG:2:12.50")


def _split(text: str, most: int, form: str) -> dict[str, Any]:
    sku, *numbers = text.split(":")
    if not 1 <= len(numbers) < most or not _QUANTITY.fullmatch(numbers[0]):
        raise Rejected(Fault.INVALID, f"{masked(text)[:80]!r} is not an article; it is written {form}")
    line: dict[str, Any] = {"sku": sku, "quantity": int(numbers[0])}
    return line | ({"unit_price": numbers[1]} if len(numbers) > 1 else {})
