"""The rows of the tables, and their one spelling as bytes.

Every row is a JSON object that starts with `{"version":N,`: the inbox offset of the last record that changed it.
Absent fields are left out, so equal rows are equal bytes. Ids, codes and numbers need no escapes. The rows
that every order writes are spelled out here: that takes half the time of a serializer.
"""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, NamedTuple, Self

from pydantic_core import from_json, to_json

from saga_app.core.errors import ForeignRow
from saga_app.core.numbers import Offset, Version
from saga_app.core.order import Order
from saga_app.core.records import Reason, StepAnswered, StepName
from saga_app.core.refund_rows import OrderRefund, StepRefund, moves_in, spelled_moves
from saga_app.core.retention.rows import (
    SPECIAL,
    ClosedSegments,
    EarlyCancellation,
    LowWatermark,
    Segment,
    Total,
)
from saga_app.core.row_keys import KeyKind, kind_of

#: Untyped, as everything that is parsed: to wrap each version would make a restore a quarter slower.
_WHOLE_NUMBER: Final[Callable[[bytes], Any]] = int
_VERSION: Final = b'{"version":'
_ORDER: Final = b',"order":'
_TOMBSTONE: Final = b',"nothing":true}'
_CLOSED: Final = b',"closed":"'
#: Near the beginning of an order's row, so that a scan finds it without parsing.
_REFUNDING: Final = ',"refunding":true'


class State(StrEnum):
    """The state of an order at a step. VOID: the compensation came first, and the action never happens.

    In the first four, a provider is asked for the action, to prevent it, for the compensation, or to capture. A payment
    that is captured afterwards is authorised when it is DONE, and its money is taken when it is CAPTURED.
    """

    DOING = "DOING"
    PREVENTING = "PREVENTING"
    UNDOING = "UNDOING"
    CAPTURING = "CAPTURING"
    DONE = "DONE"
    CAPTURED = "CAPTURED"
    REFUSED = "REFUSED"
    UNDONE = "UNDONE"
    VOID = "VOID"


#: A provider is asked, again and again, until there is a definite answer.
ASKED_STATES: Final = frozenset({State.DOING, State.PREVENTING, State.UNDOING, State.CAPTURING})
#: The action has happened, and stands.
STANDING_STATES: Final = frozenset({State.DONE, State.CAPTURING, State.CAPTURED})
#: How such a state stands near the beginning of an encoded row.
_ASKED: Final = tuple(f'"state":"{state}",'.encode() for state in sorted(ASKED_STATES))


class Status(StrEnum):
    """The status of an order at checkout."""

    OPEN = "OPEN"
    CANCELLING = "CANCELLING"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"


OPEN_STATUSES: Final = frozenset({Status.OPEN, Status.CANCELLING})


class OrderRow(NamedTuple):
    """Table `orders`: one order. `since` and `ended_at` are Kafka's timestamps in milliseconds.

    `refunds` are those that people asked for, in their sequence; refused ones too. They change the
    row of an order that has ended: `ended_version` is then the version with which it ended.

    `patience` is that of the order, in seconds, or that of the policy that was in force when it was placed.
    `cancelled_first`: a cancellation was here before the order, so no step was ever asked to act.
    """

    version: Version
    status: Status
    placed_at: Offset
    tries: int
    since: int
    order: bytes
    ended_at: int | None = None
    reason: Reason | None = None
    step: StepName | None = None
    segment: str | None = None
    patience: int | None = None
    cancelled_first: bool = False
    refunds: tuple[OrderRefund, ...] = ()
    ended_version: Version | None = None

    @property
    def ending(self) -> Self:
        """The row of an ended order as it was when the order ended: its refunds came later."""
        if self.ended_version is None or self.ended_at is None:
            return self
        return self._replace(version=self.ended_version, since=self.ended_at)

    @property
    def has_open_refund(self) -> bool:
        """True if a refund of this order is under way."""
        return any(each.is_open for each in self.refunds)

    @property
    def is_under_way(self) -> bool:
        """True if something must still happen: the order has not ended, or one of its refunds has not."""
        return self.status in OPEN_STATUSES or self.has_open_refund

    def encode(self) -> bytes:
        version, status, placed_at, tries, since, order, ended_at, reason, step, segment = self[:10]
        patience, first, refunds, ended_version = self[10:]
        refunding = _REFUNDING if refunds and self.has_open_refund else ""
        ended = "" if ended_at is None else f',"ended_at":{ended_at}'
        head = f'{{"version":{version},"status":"{status}"{refunding},"placed_at":{placed_at},"tries":{tries}'
        patient = "" if patience is None else f',"patience":{patience}'
        before = "" if ended_version is None else f',"ended_version":{ended_version}'
        last = ',"cancelled_first":true' if first else ""
        more = f"{ended}{_turned_at(reason, step)}{_of(segment)}{patient}{last}{_refunds(refunds)}{before}"
        return b"%s%s%s}" % (f'{head},"since":{since}{more}'.encode(), _ORDER, order)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        head, _, order = data.partition(_ORDER)
        fields = from_json(head + b"}")
        fields["status"] = Status(fields["status"])
        fields.pop("refunding", None)
        if "refunds" in fields:
            fields["refunds"] = tuple(map(OrderRefund.parsed, fields["refunds"]))
        return cls(order=order[:-1], **_turned(fields))


class OutsideEffect(NamedTuple):
    """The part of a journal row about an effect at a provider. It stands there for good: settings do not change it.

    `asked_at`: Kafka's time, in milliseconds, of the record that asked first; it makes the effect's key. `order`: what
    calls and later step requests are made of. `reference`: the provider's name of the effect. `tries`: answers since
    the last one that brought anything new; `code`: that of the last answer. `capture_before`: seconds since 1970 at
    which the authorisation runs out.
    """

    provider: str
    asked_at: int
    order: bytes
    reference: str | None = None
    tries: int = 0
    code: str | None = None
    capture_before: int | None = None

    @property
    def as_order(self) -> Order:
        return Order.model_validate_json(self.order)

    def asked_anew(self) -> Self:
        """Asked for something else: it is tried at once."""
        return self._replace(tries=0, code=None)

    def answered(self, record: StepAnswered) -> Self:
        """The effect after an answer; a reference is kept for good, unless a person settles that it is another one."""
        known = (record.reference, self.reference) if record.settles else (self.reference, record.reference)
        before = record.capture_before or self.capture_before
        return self._replace(reference=known[0] or known[1], tries=0, code=record.code, capture_before=before)

    def encode(self) -> bytes:
        """The last fields of a row: none of them needs an escape."""
        provider, asked_at, order, reference, tries, code, before = self
        named = "" if reference is None else f',"reference":"{reference}"'
        coded = "" if code is None else f',"code":"{code}"'
        held = "" if before is None else f',"capture_before":{before}'
        head = f',"provider":"{provider}","asked_at":{asked_at},"tries":{tries}{named}{coded}{held}'
        return b"%s%s%s" % (head.encode(), _ORDER, order)

    @classmethod
    def taken(cls, fields: dict[str, Any], data: bytes) -> Self:
        """From the fields of a parsed row, which loses them; the order is kept as it is spelled in these bytes."""
        del fields["order"]
        order = data.partition(_ORDER)[2][:-1]
        return cls(order=order, **{name: fields.pop(name) for name in cls._fields if name in fields})


def is_asked(data: bytes) -> bool:
    """True if an encoded journal row is in an asked state; it is not parsed, since a scan of a journal meets all."""
    head = data[:80]
    return any(state in head for state in _ASKED)


def may_run_out(data: bytes) -> bool:
    """True if an encoded journal row says when its authorisation runs out, or has an order in it that spells that."""
    return b',"capture_before":' in data


def has_conflict(data: bytes) -> bool:
    """True if an encoded journal row has a conflict, or an order in it that spells one."""
    return b'"conflict":"' in data


#: The last fields of a journal row that few rows have.
_NO_MORE: Final = (*(None,) * 8, ())


class JournalRow(NamedTuple):
    """Tables `payments`, `reservations`, `shipments`: the decision for an order, a deposit, a delivery or a policy.

    `done_at` and `undone_at` are inbox offsets. `moves` maps the key of a balance to the signed amount moved.
    `content` is the digest of the request: another content under a known id is a dead letter. A withdrawal and an
    adjustment of stock have a `cause`; one that is refused has the `moves` that it asked for.
    `outside`: its fields stand in the row, behind all others. `conflict`: an outcome and a reference that a provider
    named and that cannot be.
    """

    version: Version
    state: State
    content: str
    done_at: Offset | None = None
    undone_at: Offset | None = None
    reason: Reason | None = None
    step: StepName | None = None
    segment: str | None = None
    moves: Mapping[str, Decimal | int] | None = None
    limit: Decimal | None = None
    countries: tuple[str, ...] | None = None
    carrier: str | None = None
    route: tuple[str, ...] | None = None
    patience: int | None = None
    cause: str | None = None
    conflict: str | None = None
    outside: OutsideEffect | None = None
    refunds: tuple[StepRefund, ...] = ()

    def moved_at(self, offset: int) -> Mapping[str, Decimal | int]:
        """The signed amounts that the record at this offset moved, by the key of the balance."""
        if offset == self.done_at:
            return self.moves or {}
        if offset == self.undone_at:
            return {key: -amount for key, amount in (self.moves or {}).items()}
        return next((each.moves for each in self.refunds if each.done_at == offset), {})

    @property
    def all_moves(self) -> Iterator[tuple[str, Decimal | int]]:
        """Each move of the step, of its compensation and of its refunds."""
        moves = self.moves or {}
        yield from moves.items()
        if self.undone_at is not None:
            yield from ((key, -amount) for key, amount in moves.items())
        for refund in self.refunds:
            yield from refund.moves.items()

    @property
    def held_until(self) -> int | None:
        """When an authorisation that is not captured runs out, in seconds since 1970; None if it does not."""
        is_held = self.state in (State.DONE, State.CAPTURING)
        return self.outside.capture_before if is_held and self.outside is not None else None

    def encode(self) -> bytes:
        version, state, content, done_at, undone_at, reason, step, segment, moves = self[:9]
        done = "" if done_at is None else f',"done_at":{done_at}'
        undone = "" if undone_at is None else f',"undone_at":{undone_at}'
        moved = "" if moves is None else f',"moves":{spelled_moves(moves)}'
        head = (
            f'{{"version":{version},"state":"{state}","content":"{content}"{done}{undone}'
            f"{_turned_at(reason, step)}{_of(segment)}{moved}"
        )
        if self[9:] == _NO_MORE:
            return f"{head}}}".encode()
        return b"%s%s}" % (head.encode(), self._rest())

    def _rest(self) -> bytes:
        """The fields that few rows have."""
        names = ("limit", "countries", "carrier", "route", "patience", "cause", "conflict")
        given = {name: value for name in names if (value := getattr(self, name)) is not None}
        rule = (b"," + to_json(given)[1:-1] if given else b"") + _refunds(self.refunds).encode()
        return rule if self.outside is None else rule + self.outside.encode()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        fields = from_json(data)
        fields["state"] = State(fields["state"])
        if "moves" in fields:
            fields["moves"] = moves_in(fields["moves"])
        if "refunds" in fields:
            fields["refunds"] = tuple(map(StepRefund.parsed, fields["refunds"]))
        if "limit" in fields:
            fields["limit"] = Decimal(fields["limit"])
        for name in ("countries", "route"):
            if name in fields:
                fields[name] = tuple(fields[name])
        if "provider" in fields:
            fields["outside"] = OutsideEffect.taken(fields, data)
        return cls(**_turned(fields))


class Account(NamedTuple):
    """Table `accounts`, key `CUSTOMER:CURRENCY`: money in the currency's units.

    `deposited` is less what was withdrawn.
    """

    version: Version
    deposited: Decimal
    balance: Decimal

    @property
    def left(self) -> Decimal:
        return self.balance

    def moved(self, version: Version, amount: Decimal | int) -> Self:
        return type(self)(version, self.deposited, self.balance + amount)

    def supplied(self, version: Version, amount: Decimal | int) -> Self:
        return self._replace(version=version, deposited=self.deposited + amount).moved(version, amount)

    def encode(self) -> bytes:
        version, deposited, balance = self
        return f'{{"version":{version},"deposited":"{deposited!s}","balance":"{balance!s}"}}'.encode()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        fields = from_json(data)
        return cls(fields["version"], Decimal(fields["deposited"]), Decimal(fields["balance"]))


class Stock(NamedTuple):
    """Table `stock`, key `WAREHOUSE:SKU`: units. `received`: with all adjustments."""

    version: Version
    received: int
    available: int

    @property
    def left(self) -> int:
        return self.available

    def moved(self, version: Version, amount: Decimal | int) -> Self:
        return type(self)(version, self.received, self.available + int(amount))

    def supplied(self, version: Version, amount: Decimal | int) -> Self:
        return self._replace(version=version, received=self.received + int(amount)).moved(version, amount)

    def encode(self) -> bytes:
        return b'{"version":%d,"received":%d,"available":%d}' % self

    @classmethod
    def decode(cls, data: bytes) -> Self:
        return cls(**from_json(data))


class ClosedOrder(NamedTuple):
    """Table `orders`: the small row of an evicted order, which still knows a repeated one. `content` is its digest."""

    version: Version
    closed: Status
    segment: str
    content: str

    @property
    def status(self) -> Status:
        return self.closed

    def encode(self) -> bytes:
        return to_json(self._asdict())

    @classmethod
    def decode(cls, data: bytes) -> Self:
        fields = from_json(data)
        return cls(fields["version"], Status(fields["closed"]), fields["segment"], fields["content"])


class Tombstone(NamedTuple):
    """No row any more, since this version. In a changelog it is a tombstone with its version in a header."""

    version: Version

    def encode(self) -> bytes:
        return _VERSION + str(self.version).encode() + _TOMBSTONE


Balance = Account | Stock
Retained = EarlyCancellation | Segment | ClosedSegments | LowWatermark | Total
Row = OrderRow | ClosedOrder | JournalRow | Account | Stock | Retained | Tombstone

#: Every other table is the journal of a step.
_PLAIN: Final[Mapping[str, type[OrderRow | Account | Stock]]] = {
    "orders": OrderRow,
    "accounts": Account,
    "stock": Stock,
}
#: Errors of code that takes a row apart.
_UNREADABLE: Final = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
_BALANCES: Final = frozenset({"accounts", "stock"})
#: All that is written to a changelog as bytes.
WRITTEN: Final = (
    OrderRow,
    JournalRow,
    Account,
    Stock,
    ClosedOrder,
    EarlyCancellation,
    Segment,
    ClosedSegments,
    LowWatermark,
    Total,
)


def decode(table: str, key: str, data: bytes) -> Row:
    """The row that a table has under this key; `ForeignRow` if these bytes are none."""
    try:
        kind = None if table in _BALANCES else kind_of(key)
        special = SPECIAL.get(kind)
        if special is not None:
            return special.decode(data)
        if kind is KeyKind.POLICY:
            return JournalRow.decode(data)
        if table == "orders" and is_closed(data):
            return ClosedOrder.decode(data)
        return _PLAIN.get(table, JournalRow).decode(data)
    except _UNREADABLE as error:
        raise ForeignRow(f"{table} {key}: no row of ours ({type(error).__name__})") from error


def is_closed(data: bytes) -> bool:
    """True if these bytes are the small row of an evicted order."""
    return _CLOSED in data[:40]


def is_under_way(data: bytes) -> bool:
    """True if an encoded row of `orders` is of an order that has not ended, or of one with an open refund."""
    head = data[:80]
    return b'"status":"OPEN"' in head or b'"status":"CANCELLING"' in head or _REFUNDING.encode() in head


def is_tombstone(data: bytes) -> bool:
    """True if these bytes say that there is no row."""
    return len(data) < 60 and data.endswith(_TOMBSTONE)


def version_of(data: bytes) -> Version:
    """The version of an encoded row, without parsing it; `ValueError` if this is no row of ours."""
    if not data.startswith(_VERSION):
        raise ValueError('a row starts with {"version":')
    version: Version = _WHOLE_NUMBER(data[len(_VERSION) : data.index(b",", len(_VERSION))])
    return version


def _turned_at(reason: Reason | None, step: StepName | None) -> str:
    return "" if reason is None else f',"reason":"{reason}","step":"{step}"'


def _of(segment: str | None) -> str:
    return "" if segment is None else f',"segment":"{segment}"'


def _refunds(refunds: tuple[OrderRefund, ...] | tuple[StepRefund, ...]) -> str:
    return f',"refunds":[{",".join([each.spelled() for each in refunds])}]' if refunds else ""


def _turned(fields: dict[str, Any]) -> dict[str, Any]:
    if "reason" in fields:
        fields["reason"] = Reason(fields["reason"])
        fields["step"] = StepName(fields["step"])
    return fields
