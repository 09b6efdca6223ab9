"""CSV: a row for each article, or for each order without articles; rows with the same `order_id` are one order."""

import csv
from collections.abc import Iterable
from decimal import Decimal
from io import StringIO
from typing import Any, Final, Self

from pydantic import model_validator

from saga_app.core import money
from saga_app.core.errors import Fault, Rejected
from saga_app.imports.foreign import ForeignLine, ForeignModel, ForeignOrder, ForeignQuantity, OptionalMoney

COLUMNS: Final = (
    "order_id",
    "customer_id",
    "currency",
    "amount",
    "shipping",
    "tax",
    "discount",
    "country",
    "warehouse",
    "patience",
    "reference",
    "sku",
    "quantity",
    "unit_price",
    "line_total",
)
_REQUIRED: Final = ("order_id", "currency")
#: The columns of the order itself: all rows of an order have the same values, or none.
_OF_ORDER: Final = COLUMNS[1 : COLUMNS.index("sku")]


class CsvLine(ForeignModel):
    sku: str
    quantity: ForeignQuantity = Decimal(1)
    unit_price: OptionalMoney = None
    line_total: OptionalMoney = None


class CsvOrder(ForeignModel):
    order_id: str
    customer_id: str | None = None
    currency: str
    amount: OptionalMoney = None
    shipping: OptionalMoney = None
    tax: OptionalMoney = None
    discount: OptionalMoney = None
    country: str | None = None
    warehouse: str | None = None
    patience: ForeignQuantity | None = None
    reference: str | None = None
    lines: tuple[CsvLine, ...] = ()

    @model_validator(mode="after")
    def _has_no_thousands(self) -> Self:
        """A spreadsheet may write a thousand as 1.000: such an amount must not become 1.00."""
        digits = money.DIGITS.get(self.currency)
        prices = [each.unit_price if each.line_total is None else each.line_total for each in self.lines]
        for amount in (self.amount, self.shipping, self.tax, self.discount, *prices):
            if digits is not None and amount is not None and -int(amount.as_tuple().exponent) > digits:
                raise ValueError(
                    f"order {self.order_id} has {amount:f}; {self.currency} has {digits} digits after the point"
                )
        return self


def payloads(data: bytes) -> Iterable[Any]:
    """Each order, with its rows put together. `Rejected` if the file has no header that we know."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Rejected(Fault.UNREADABLE, f"not UTF-8 at byte {error.start}") from None
    header = text.partition("\n")[0]
    reader = csv.DictReader(StringIO(text, newline=""), delimiter=max(",;\t", key=header.count))
    names = [name.strip() for name in reader.fieldnames or ()]
    unknown = [name for name in names if name not in COLUMNS]
    missing = [name for name in _REQUIRED if name not in names]
    if missing or unknown:
        wrong = (
            f"unknown columns {', '.join(map(repr, unknown))}"
            if unknown
            else f"there is no column {missing[0]}"
        )
        raise Rejected(Fault.INVALID, f"{wrong}; the first line names columns of: {', '.join(COLUMNS)}")
    reader.fieldnames = names
    orders: dict[str, Any] = {}
    for row in reader:
        if any(cell.strip() for cell in row.pop(None, ())):
            raise Rejected(
                Fault.INVALID,
                f"line {reader.line_num}: more cells than columns; quote a text that has the delimiter in it",
            )
        values = {name: value.strip() for name, value in row.items() if name and value and value.strip()}
        if values:
            _add(orders, values, reader.line_num)
    return orders.values()


def order(payload: Any) -> ForeignOrder:
    """One order; `ValidationError` if a value is wrong."""
    found = CsvOrder.model_validate(payload)
    return ForeignOrder(
        name=found.order_id,
        number=found.order_id,
        currency=found.currency,
        total=found.amount,
        lines=[
            ForeignLine(each.sku, each.quantity, each.unit_price, total=each.line_total)
            for each in found.lines
        ],
        customer=found.customer_id,
        country=found.country,
        warehouse=found.warehouse,
        patience=found.patience,
        shipping=found.shipping,
        tax=found.tax,
        discount=found.discount,
        reference=found.reference,
    )


def _add(orders: dict[str, Any], values: dict[str, str], line: int) -> None:
    order_id = values.get("order_id", "")
    if not order_id:
        raise Rejected(Fault.INVALID, f"line {line}: there is no order_id")
    made = orders.setdefault(order_id, {"order_id": order_id, "lines": []})
    for name in _OF_ORDER:
        if name in values and made.setdefault(name, values[name]) != values[name]:
            raise Rejected(
                Fault.INVALID,
                f"line {line}: order {order_id} has {name} {values[name]!r}, and {made[name]!r} before",
            )
    article = {
        name: values[name] for name in ("sku", "quantity", "unit_price", "line_total") if name in values
    }
    if article:
        made["lines"].append(article)
