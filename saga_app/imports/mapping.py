"""Maps a file of another system: what would be placed, what is left out, and what cannot be mapped, with the reason."""

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from saga_app.core import money
from saga_app.core.errors import Rejected
from saga_app.core.records import OrderPlaced
from saga_app.imports import csv_rows, magento, saleor, shopify, woocommerce
from saga_app.imports.foreign import ForeignLine, ForeignOrder
from saga_app.imports.ids import saga_id
from saga_app.kafka.sender import checked
from saga_app.wire import masked
from saga_app.wrong_fields import each_wrong_field, wrong_fields

#: Characters of the reason of one order.
_LONGEST_REASON: Final = 300


class Format(NamedTuple):
    """A system: each payload in a file, and the order in a payload. `prefix` begins its ids."""

    payloads: Callable[[bytes], Iterable[Any]]
    order: Callable[[Any], ForeignOrder]
    prefix: str


FORMATS: Final = {
    "shopify": Format(shopify.payloads, shopify.order, "shopify"),
    "woocommerce": Format(woocommerce.payloads, woocommerce.order, "woo"),
    "magento": Format(magento.payloads, magento.order, "magento"),
    "saleor": Format(saleor.payloads, saleor.order, "saleor"),
    "csv": Format(csv_rows.payloads, csv_rows.order, ""),
}


class Mapped(NamedTuple):
    """An order that can be placed; `notes` say what differs from the payload."""

    name: str
    record: OrderPlaced
    notes: tuple[str, ...]


class LeftOut(NamedTuple):
    """An order of which there is nothing to place."""

    name: str
    why: str


class Unmapped(NamedTuple):
    """An order that cannot be placed as it is."""

    name: str
    why: str


Outcome = Mapped | LeftOut | Unmapped


def outcomes(
    format: Format, data: bytes, prefix: str | None = None, warehouse: str | None = None
) -> Iterator[Outcome]:
    """One for each order, in the sequence of the file. `Rejected` if the file is of another format.

    `prefix` replaces the format's, for a second shop of the same system; `warehouse` is for orders that name none.
    """
    begin = format.prefix if prefix is None else prefix
    for number, payload in enumerate(format.payloads(data), 1):
        try:
            found = format.order(payload)
        except ValidationError as error:
            yield Unmapped(
                f"order {number} of the file", masked(wrong_fields(each_wrong_field(error), _LONGEST_REASON))
            )
            continue
        if found.left_out:
            yield LeftOut(found.name, found.left_out)
            continue
        try:
            yield _mapped(found, begin, warehouse)
        except Rejected as error:
            yield Unmapped(found.name, error.detail)
        except ValueError as error:
            yield Unmapped(found.name, masked(str(error))[:_LONGEST_REASON])


def _mapped(found: ForeignOrder, prefix: str, warehouse: str | None) -> Mapped:
    notes: list[str] = []
    total, with_prices = _amount(found, notes)
    record = checked(
        {
            "order_id": _id_of(found.number, prefix),
            "customer_id": None if found.customer is None else _id_of(found.customer, prefix),
            "currency": found.currency,
            "amount": total,
            "country": found.country,
            "warehouse": found.warehouse or warehouse,
            "patience": None if found.patience is None else _seconds(found.patience),
            "lines": [
                _line(each, number, notes, with_price=with_prices)
                for number, each in enumerate(found.lines, 1)
                if each.quantity
            ],
        }
    )
    assert isinstance(record, OrderPlaced)
    return Mapped(found.name, record, tuple(notes))


def _id_of(number: str, prefix: str) -> str:
    return saga_id(f"{prefix}-{number}" if prefix else number)


def _seconds(patience: Decimal) -> int:
    if patience != patience.to_integral_value():
        raise ValueError(f"its patience is {patience}, which is no whole number of seconds")
    return int(patience)


def _line(line: ForeignLine, number: int, notes: list[str], *, with_price: bool) -> dict[str, Any]:
    what = f"line {number}" + (f", {line.name!r}," if line.name else "")
    if not line.sku:
        raise ValueError(f"{what} has no SKU")
    if line.quantity != line.quantity.to_integral_value() or line.quantity < 0:
        raise ValueError(f"{what} has the quantity {line.quantity}, which is no whole number of pieces")
    sku = saga_id(line.sku)
    if sku != line.sku:
        notes.append(f"SKU {line.sku!r} becomes {sku}")
    price = {"unit_price": f"{line.unit_price:f}"} if with_price and line.unit_price is not None else {}
    return {"sku": sku, "quantity": int(line.quantity), **price}


def _amount(found: ForeignOrder, notes: list[str]) -> tuple[str | None, bool]:
    """The amount, and if the lines keep their prices.

    They do if they add up to the total. Tax, shipping and discounts are amounts of the whole order, or are in one price
    and not in another: then the total alone is what the customer pays.
    """
    lines = [each for each in found.lines if each.quantity]
    added = _sum(lines, found.currency)
    total = None if found.total is None else f"{found.total:f}"
    if total is None or not lines or added == found.total:
        return total, True
    words = "a line has no price of one piece" if added is None else f"the lines add up to {added:f}"
    notes.append(f"{words}, the total is {total}: placed with the total, lines without prices")
    return total, False


def _sum(lines: Iterable[ForeignLine], currency: str) -> Decimal | None:
    """The sum of all lines; None if one has no price, or one that the currency cannot have."""
    total = Decimal(0)
    for each in lines:
        if each.unit_price is None or each.unit_price < 0 or currency not in money.DIGITS:
            return None
        try:
            total += money.normal(each.unit_price, currency) * each.quantity
        except ValueError:
            return None
    return total
