"""Refunds in the rows of their order: at checkout with their content, at payment and inventory with what they moved.

A refund stands in the row of its order and has no row of its own. So two refunds of an order are decided one after the
other, and a decision about either depends on this row alone.
"""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple, Self

from pydantic_core import to_json

from saga_app.core.numbers import Offset
from saga_app.core.order import Line
from saga_app.core.records import RefundReason
from saga_app.core.refund import Refund


class RefundStatus(StrEnum):
    """The status of a refund at checkout."""

    OPEN = "OPEN"
    COMPLETED = "COMPLETED"
    REFUSED = "REFUSED"


class RefundState(StrEnum):
    """The state of a refund at payment or inventory."""

    DONE = "DONE"
    REFUSED = "REFUSED"


class OrderRefund(NamedTuple):
    """A refund in the row of `orders`.

    `content` is the digest of what people asked for, `opened_at` the offset of that record. `since` and `ended_at` are
    Kafka's times in milliseconds. A whole refund that checkout refused has no amount.
    """

    refund_id: str
    status: RefundStatus
    content: str
    opened_at: Offset
    since: int
    amount: Decimal | None = None
    lines: tuple[Line, ...] = ()
    restock: bool = False
    ended_at: int | None = None
    reason: RefundReason | None = None

    @property
    def is_open(self) -> bool:
        return self.status is RefundStatus.OPEN

    @property
    def counts(self) -> bool:
        """True if its money and units can be given back no second time."""
        return self.status is not RefundStatus.REFUSED

    @property
    def restocks(self) -> bool:
        """True if units go into stock."""
        return self.restock and bool(self.lines)

    @property
    def refund(self) -> Refund:
        """The refund as step requests carry it."""
        assert self.amount is not None
        return Refund.of(refund_id=self.refund_id, amount=self.amount, lines=self.lines, restock=self.restock)

    def spelled(self) -> str:
        """As JSON."""
        return _spelled({**self._asdict(), "lines": {line.sku: line.quantity for line in self.lines}})

    @classmethod
    def parsed(cls, fields: dict[str, Any]) -> Self:
        fields["status"] = RefundStatus(fields["status"])
        if "amount" in fields:
            fields["amount"] = Decimal(fields["amount"])
        if "lines" in fields:
            lines = fields["lines"].items()
            fields["lines"] = tuple(Line.of(sku=sku, quantity=quantity) for sku, quantity in lines)
        if "reason" in fields:
            fields["reason"] = RefundReason(fields["reason"])
        return cls(**fields)


class StepRefund(NamedTuple):
    """A refund in the row of `payments` or `reservations`.

    `content` is the digest of the refund, `done_at` the offset of the record that moved what `moves` says. Payment has
    the amount too: a customer without an account gets it without a move.
    """

    refund_id: str
    state: RefundState
    content: str
    done_at: Offset | None = None
    amount: Decimal | None = None
    moves: Mapping[str, Decimal | int] = {}
    reason: RefundReason | None = None

    def spelled(self) -> str:
        """As JSON."""
        return _spelled(self._asdict())

    @classmethod
    def parsed(cls, fields: dict[str, Any]) -> Self:
        fields["state"] = RefundState(fields["state"])
        if "amount" in fields:
            fields["amount"] = Decimal(fields["amount"])
        if "moves" in fields:
            fields["moves"] = moves_in(fields["moves"])
        if "reason" in fields:
            fields["reason"] = RefundReason(fields["reason"])
        return cls(**fields)


def spelled_moves(moves: Mapping[str, Decimal | int]) -> str:
    """Units are written as a number, money as a string."""
    return f"{{{','.join(map(_move, moves.items()))}}}"


def moves_in(written: Mapping[str, str | int]) -> Mapping[str, Decimal | int]:
    """The moves as they are spelled in a row."""
    return {key: each if isinstance(each, int) else Decimal(each) for key, each in written.items()}


def _move(move: tuple[str, Decimal | int]) -> str:
    key, amount = move
    return f'"{key}":{amount}' if isinstance(amount, int) else f'"{key}":"{amount!s}"'


def _spelled(fields: dict[str, Any]) -> str:
    """Without what is absent. Refunds are rare: a serializer is fast enough."""
    # A zero is not absent, and equals False.
    there = {
        name: each for name, each in fields.items() if not (each is None or each is False or each in ((), {}))
    }
    return to_json(there).decode()
