"""An order of any shop system in one form, and the bases with which each system's payload is read."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

#: Money as systems write it, a number or a string, in units of the currency.
ForeignMoney = Annotated[Decimal, Field(max_digits=40)]
#: The same, if there may be none: some systems write an empty string then.
OptionalMoney = Annotated[ForeignMoney | None, BeforeValidator(lambda value: None if value == "" else value)]

#: Pieces. The bound keeps a number like 1E+999999999 from being written out.
ForeignQuantity = Annotated[Decimal, Field(max_digits=40)]


class ForeignModel(BaseModel):
    """The part of a payload that we read. The rest is ignored: it is large, and differs from version to version."""

    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True, populate_by_name=True)


class ForeignLine(NamedTuple):
    """An article; `unit_price` is None if the system has none that may be multiplied, `total` if it has none."""

    sku: str | None
    quantity: Decimal
    unit_price: Decimal | None
    name: str = ""
    total: Decimal | None = None


class ForeignOrder(NamedTuple):
    """An order as a mapper reads it in a payload.

    `name` is how people of the shop call the order; `number` identifies it for ever. `total` is all that the customer
    pays, in units of the currency. `left_out` says why there is nothing to place, for example that it was cancelled.
    `patience`: seconds after which it is to be given up. `shipping`, `tax` and `discount` are parts of the total.
    """

    name: str
    number: str
    currency: str
    total: Decimal | None
    lines: Sequence[ForeignLine]
    customer: str | None = None
    country: str | None = None
    warehouse: str | None = None
    left_out: str | None = None
    patience: Decimal | None = None
    shipping: Decimal | None = None
    tax: Decimal | None = None
    discount: Decimal | None = None
    reference: str | None = None
