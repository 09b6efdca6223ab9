"""A refund of a completed order, as step requests and rows have it."""

from decimal import Decimal
from functools import cached_property
from typing import Final

from saga_app.core.fields import Id, Model, Money
from saga_app.core.order import Line, Lines, digest

#: Refunds that one order may have, refused ones too: they stand in its row.
MOST_REFUNDS: Final = 100


class Refund(Model):
    """A refund that checkout has accepted: an amount in the order's currency, and the units that come back.

    With `restock` these go into the warehouse that they came from.
    """

    refund_id: Id
    amount: Money
    lines: Lines = ()
    restock: bool = False

    @property
    def restocks(self) -> bool:
        """True if units go into stock."""
        return self.restock and bool(self.lines)

    @cached_property
    def canonical(self) -> bytes:
        """The one spelling of this refund; none of its values needs an escape."""
        lines = ",".join([f'{{"sku":"{line.sku}","quantity":{line.quantity}}}' for line in self.lines])
        units = f',"lines":[{lines}]' if lines else ""
        restock = ',"restock":true' if self.restock else ""
        return f'{{"refund_id":"{self.refund_id}","amount":"{self.amount:f}"{units}{restock}}}'.encode()

    @cached_property
    def digest(self) -> str:
        """16 hex digits that differ if the content differs."""
        return digest(self.canonical)


def opened_content(amount: Decimal | None, lines: tuple[Line, ...], *, restock: bool) -> str:
    """The digest of a refund as people asked for it: another content under a known id is a dead letter."""
    money = "all" if amount is None else f"{amount:f}"
    units = " ".join(f"{line.sku}={line.quantity}" for line in lines)
    return digest(f"{money} {restock} {units}".encode())
