"""Saleor: orders of its GraphQL API, as a query or a webhook's subscription returns them."""

from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterable
from typing import Any, Final

from pydantic import AliasPath, Field

from saga_app.imports.documents import documents, inside, nodes
from saga_app.imports.foreign import (
    ForeignLine,
    ForeignModel,
    ForeignMoney,
    ForeignOrder,
    ForeignQuantity,
    OptionalMoney,
)

#: States with which there is nothing to place.
_NOT_PLACED: Final = {
    "DRAFT": "it is a draft",
    "CANCELED": "it was cancelled",
    "EXPIRED": "it has expired",
    "FULFILLED": "its goods have left (FULFILLED)",
    "PARTIALLY_FULFILLED": "its goods have left in part (PARTIALLY_FULFILLED)",
    "RETURNED": "its goods were returned",
    "PARTIALLY_RETURNED": "its goods were returned in part",
}


class SaleorLine(ForeignModel):
    name: str = Field("", validation_alias="productName")
    sku: str | None = Field(None, validation_alias="productSku")
    quantity: ForeignQuantity
    price: OptionalMoney = Field(None, validation_alias=AliasPath("unitPrice", "gross", "amount"))
    total: OptionalMoney = Field(None, validation_alias=AliasPath("totalPrice", "gross", "amount"))


class SaleorOrder(ForeignModel):
    id: str
    number: str
    status: str
    currency: str = Field(validation_alias=AliasPath("total", "gross", "currency"))
    total: ForeignMoney = Field(validation_alias=AliasPath("total", "gross", "amount"))
    shipping: OptionalMoney = Field(None, validation_alias=AliasPath("shippingPrice", "gross", "amount"))
    user: str | None = Field(None, validation_alias=AliasPath("user", "id"))
    country: str | None = Field(None, validation_alias=AliasPath("shippingAddress", "country", "code"))
    lines: tuple[SaleorLine, ...]


def payloads(data: bytes) -> Iterable[Any]:
    """Each order in a file, whatever is around it."""
    for document in documents(data):
        found = nodes(inside(document, "data", "orders"))
        one = inside(document, "data", "order") or inside(document, "order")
        yield from [document if one is None else one] if found is None else found


def order(payload: Any) -> ForeignOrder:
    """One order; `ValidationError` if a field that we need is missing."""
    found = SaleorOrder.model_validate(payload)
    return ForeignOrder(
        name=f"#{found.number}",
        number=_key(found.id),
        currency=found.currency,
        total=found.total,
        lines=[
            ForeignLine(each.sku, each.quantity, each.price, each.name, each.total) for each in found.lines
        ],
        shipping=found.shipping,
        customer=None if found.user is None else _key(found.user),
        country=found.country,
        left_out=_NOT_PLACED.get(found.status),
    )


def _key(global_id: str) -> str:
    """The key in a global id, which is `Order:KEY` in base64; the id itself if it is something else."""
    try:
        kind, colon, key = b64decode(global_id, validate=True).decode().partition(":")
    except (NotBase64, UnicodeDecodeError):
        return global_id
    return key if colon and kind.isalpha() and key else global_id
