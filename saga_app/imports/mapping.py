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
    agreed = _amounts(found, notes)
    record = checked(
        {
            "order_id": _id_of(found.number, prefix),
            "customer_id": None if found.customer is None else _id_of(found.customer, prefix),
            "currency": found.currency,
            "amount": agreed.total,
            **agreed.parts,
            "country": found.country,
            "warehouse": found.warehouse or warehouse,
            "patience": None if found.patience is None else _seconds(found.patience),
            "reference": found.reference,
            "lines": [
                _line(each, number, found.currency, notes, with_price=agreed.with_prices)
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


def _line(
    line: ForeignLine, number: int, currency: str, notes: list[str], *, with_price: bool
) -> dict[str, Any]:
    what = f"line {number}" + (f", {line.name!r}," if line.name else "")
    if not line.sku:
        raise ValueError(f"{what} has no SKU")
    if line.quantity != line.quantity.to_integral_value() or line.quantity < 0:
        raise ValueError(f"{what} has the quantity {line.quantity}, which is no whole number of pieces")
    sku = saga_id(line.sku)
    if sku != line.sku:
        notes.append(f"SKU {line.sku!r} becomes {sku}")
    price = _price(line, currency) if with_price else {}
    return {"sku": sku, "quantity": int(line.quantity), **price}


def _price(line: ForeignLine, currency: str) -> dict[str, str]:
    """The price of one piece; the total alone where the price is rounded, or has a discount that the total has not."""
    price, total = line.unit_price, line.total
    if price is not None and (total is None or _product(line, currency) == total):
        return {"unit_price": f"{price:f}"}
    return {} if total is None else {"total": f"{total:f}"}


def _product(line: ForeignLine, currency: str) -> Decimal | None:
    """The price of one piece times the quantity; None if the currency has no such price."""
    price = None if line.unit_price is None else _exact(line.unit_price, currency)
    return None if price is None else price * line.quantity


class _Agreed(NamedTuple):
    """The total, the parts of it, and if the lines keep their prices."""

    total: str | None
    parts: dict[str, str]
    with_prices: bool


def _amounts(found: ForeignOrder, notes: list[str]) -> _Agreed:
    """The amounts of an order that agree.

    A system may have an amount that we do not know, or one that is in the prices already: where the parts do not add
    up to the total and the lines alone do not either, the total alone is what the customer pays.
    """
    lines = [each for each in found.lines if each.quantity]
    added = _sum(lines, found.currency)
    parts = {
        name: value
        for name, value in (("shipping", found.shipping), ("tax", found.tax), ("discount", found.discount))
        if value
    }
    shipping, tax, discount = (parts.get(name, Decimal(0)) for name in ("shipping", "tax", "discount"))
    total = None if found.total is None else f"{found.total:f}"
    given = {name: f"{value:f}" for name, value in parts.items()}
    if total is None:
        return _Agreed(total, given, with_prices=True)
    if not lines:
        return _Agreed(total, {}, with_prices=True)
    if added is not None and added + shipping + tax - discount == found.total:
        return _Agreed(total, given, with_prices=True)
    if added == found.total:
        return _Agreed(total, {}, with_prices=True)
    words = "a line has no price of one piece" if added is None else f"the lines add up to {added:f}"
    others = "".join(f", {name} is {value}" for name, value in given.items())
    notes.append(f"{words}{others}, the total is {total}: placed with the total, lines without prices")
    return _Agreed(total, {}, with_prices=False)


def _sum(lines: Iterable[ForeignLine], currency: str) -> Decimal | None:
    """The sum of all lines; None if one has no price, or one that the currency cannot have."""
    total = Decimal(0)
    for each in lines:
        product = _product(each, currency) if each.total is None else _exact(each.total, currency)
        if product is None:
            return None
        total += product
    return total


def _exact(amount: Decimal, currency: str) -> Decimal | None:
    """The amount in normal form; None if the currency has no such amount."""
    try:
        return None if amount < 0 or currency not in money.DIGITS else money.normal(amount, currency)
    except ValueError:
        return None
