"""The rows of the tables, and their one spelling as bytes.

Every row is a JSON object that starts with `{"version":N,`: the inbox offset of the last record that changed it.
Absent fields are left out, so equal rows are equal bytes.
"""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, NamedTuple, Self

from pydantic_core import from_json, to_json

from saga_app.core.records import Reason, StepName

_VERSION: Final = b'{"version":'
_ORDER: Final = b',"order":'


class State(StrEnum):
    """What a step has done for an order."""

    DONE = "DONE"
    REFUSED = "REFUSED"
    UNDONE = "UNDONE"
    VOID = "VOID"


class Status(StrEnum):
    """Where an order stands, as checkout knows it."""

    OPEN = "OPEN"
    CANCELLING = "CANCELLING"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"


OPEN_STATUSES: Final = frozenset({Status.OPEN, Status.CANCELLING})


class OrderRow(NamedTuple):
    """Table `orders`: one order. `since` and `ended_at` are Kafka's timestamps in milliseconds."""

    version: int
    status: Status
    placed_at: int
    tries: int
    since: int
    order: bytes
    ended_at: int | None = None
    reason: Reason | None = None
    step: StepName | None = None

    def encode(self) -> bytes:
        fields = _present(self)
        order: bytes = fields.pop("order")
        return to_json(fields)[:-1] + _ORDER + order + b"}"

    @classmethod
    def decode(cls, data: bytes) -> Self:
        head, _, order = data.partition(_ORDER)
        fields = from_json(head + b"}")
        fields["status"] = Status(fields["status"])
        return cls(order=order[:-1], **_turned(fields))


class JournalRow(NamedTuple):
    """Tables `payments`, `reservations`, `shipments`: what was decided for an order, a deposit, a policy.

    `done_at` and `undone_at` are inbox offsets; `moves` maps a balance's key to the signed amount moved;
    `content` is the digest of what was asked, to tell another content under a known id.
    """

    version: int
    state: State
    content: str
    done_at: int | None = None
    undone_at: int | None = None
    reason: Reason | None = None
    step: StepName | None = None
    moves: Mapping[str, str | int] | None = None
    limit: str | None = None
    countries: list[str] | None = None

    def encode(self) -> bytes:
        return to_json(_present(self))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        fields = from_json(data)
        fields["state"] = State(fields["state"])
        return cls(**_turned(fields))


class Account(NamedTuple):
    """Table `accounts`, key `CUSTOMER:CURRENCY`: money in the currency's units."""

    version: int
    deposited: Decimal
    balance: Decimal

    def moved(self, version: int, amount: str | int) -> Self:
        return type(self)(version, self.deposited, self.balance + Decimal(amount))

    def supplied(self, version: int, amount: str | int) -> Self:
        return self._replace(version=version, deposited=self.deposited + Decimal(amount)).moved(
            version, amount
        )

    def encode(self) -> bytes:
        return to_json(self._asdict())

    @classmethod
    def decode(cls, data: bytes) -> Self:
        fields = from_json(data)
        return cls(fields["version"], Decimal(fields["deposited"]), Decimal(fields["balance"]))


class Stock(NamedTuple):
    """Table `stock`, key `WAREHOUSE:SKU`: units."""

    version: int
    received: int
    available: int

    def moved(self, version: int, amount: str | int) -> Self:
        return type(self)(version, self.received, self.available + int(amount))

    def supplied(self, version: int, amount: str | int) -> Self:
        return self._replace(version=version, received=self.received + int(amount)).moved(version, amount)

    def encode(self) -> bytes:
        return to_json(self._asdict())

    @classmethod
    def decode(cls, data: bytes) -> Self:
        return cls(**from_json(data))


Balance = Account | Stock
Row = OrderRow | JournalRow | Account | Stock


def version_of(data: bytes) -> int:
    """The version of an encoded row, without parsing it; `ValueError` if this is no row of ours."""
    if not data.startswith(_VERSION):
        raise ValueError('a row starts with {"version":')
    return int(data[len(_VERSION) : data.index(b",", len(_VERSION))])


def _present(row: "OrderRow | JournalRow") -> dict[str, Any]:
    return {name: value for name, value in zip(row._fields, row, strict=True) if value is not None}


def _turned(fields: dict[str, Any]) -> dict[str, Any]:
    if "reason" in fields:
        fields["reason"] = Reason(fields["reason"])
        fields["step"] = StepName(fields["step"])
    return fields
