"""The topic `order_outcomes`: how each order ended, as CloudEvents in binary mode (`docs/how-to/connect-your-shop.md`).

The key is the order id. A record may come again, with the same bytes and the same id; of one key the last one counts.
A record without a value says that the order has left the tables.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, NamedTuple

from confluent_kafka import Message as KafkaMessage
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from pydantic_core import from_json, to_json

from saga_app.core.numbers import FIRST, NEVER, Offset, Version, version_at
from saga_app.core.outcome import OutcomePut
from saga_app.core.rows import OrderRow, Status
from saga_app.kafka.headers import headers_of
from saga_app.kafka.messages import VERSION, Header, Message, Outgoing
from saga_app.kafka.signatures import Signatures
from saga_app.times import written
from saga_app.topics import ORDER_OUTCOMES

SOURCE: Final = "/checkout-saga/order_outcomes"
#: By how the order ended, the type of the event.
TYPES: Final = {Status.COMPLETED: "order.completed", Status.CANCELLED: "order.cancelled"}
_SOURCE: Final = SOURCE.encode()
_TYPES: Final = {status: name.encode() for status, name in TYPES.items()}
#: The fields of an order that its outcome repeats, where the order has them.
OF_ORDER: Final = (
    "customer_id",
    "currency",
    "amount",
    "shipping",
    "tax",
    "discount",
    "reference",
    "metadata",
)

Amount = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,16}(\.[0-9]{1,8})?$")]


class OrderOutcome(BaseModel):
    """How an order ended. `reason` and `step` say why and where it turned round, if it was cancelled.

    Absent fields are left out, and later releases may add some. `version` is the offset of the record that ended the
    order, `ended_at` Kafka's time of it. Amounts are in the currency's units.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: int
    order_id: str
    state: Literal["COMPLETED", "CANCELLED"]
    reason: str | None = None
    step: str | None = None
    customer_id: str | None = None
    currency: str
    amount: Amount
    shipping: Amount | None = None
    tax: Amount | None = None
    discount: Amount | None = None
    reference: str | None = None
    metadata: dict[str, str] | None = None
    ended_at: str


class HeardOutcome(NamedTuple):
    """A record of the topic; `value` has the bytes of its outcome, None if the order has left the tables."""

    order_id: str
    version: Version
    value: bytes | None

    @property
    def outcome(self) -> OrderOutcome:
        """Raises `ValueError` if this is not one of ours, or has no value."""
        return OrderOutcome.model_validate_json(self.value or b"")

    @property
    def id(self) -> str:
        """The id of the event: each repeat has the same."""
        return event_id(self.order_id, self.version)


def event_id(order_id: str, version: int) -> str:
    """The order, and the record that ended it: no later order of the same id has the same."""
    return f"{order_id}:{version}"


def outcome_value(order_id: str, row: OrderRow) -> bytes:
    """The outcome of an ended order, as JSON."""
    order = from_json(row.order)
    given: dict[str, Any] = {"version": row.version, "order_id": order_id, "state": row.status.value}
    if row.reason is not None and row.step is not None:
        given["reason"], given["step"] = row.reason.value, row.step.value
    for name in OF_ORDER:
        if name in order:
            # Pairs in the bytes of an order, an object for everybody outside.
            given[name] = dict(order[name]) if name == "metadata" else order[name]
    given["ended_at"] = _ended_at(row)
    return to_json(given)


def outcome_record(put: OutcomePut) -> Outgoing:
    """An outcome as a record: a CloudEvent, or a tombstone with its version in a header."""
    order_id, version, row = put
    key = order_id.encode()
    if row is None:
        return Outgoing(ORDER_OUTCOMES, key, None, headers=((VERSION, str(version).encode()),))
    return Outgoing(ORDER_OUTCOMES, key, outcome_value(order_id, row), headers=_headers(order_id, row))


def _headers(order_id: str, row: OrderRow) -> Sequence[Header]:
    return (
        ("ce_specversion", b"1.0"),
        ("ce_id", event_id(order_id, row.version).encode()),
        ("ce_source", _SOURCE),
        ("ce_type", _TYPES[row.status]),
        ("ce_subject", order_id.encode()),
        ("ce_time", _ended_at(row).encode()),
        ("content-type", b"application/json"),
    )


def _ended_at(row: OrderRow) -> str:
    return _written(row.since if row.ended_at is None else row.ended_at)


#: Orders that end in one round share their times.
_written: Final = lru_cache(1_024)(written)


class OrderOutcomeReader:
    """Reads records of the topic; with keys, it leaves out those that no service signed."""

    def __init__(self, signatures: Signatures | None = None) -> None:
        self._signatures = signatures

    def read(self, message: KafkaMessage) -> HeardOutcome | None:
        """The outcome in a record; None if it is none of ours."""
        key, value = message.key(), message.value()
        headers = headers_of(message)
        if self._signatures is not None:
            time = message.timestamp()[1]
            read = Message(Offset(message.offset() or FIRST), time, key, value, headers)
            if self._signatures.doubt(read, str(message.topic()), message.partition() or 0) is not None:
                return None
        return heard(key, value, headers)


def heard(key: bytes | None, value: bytes | None, headers: Sequence[Header]) -> HeardOutcome | None:
    """The outcome in a record with this key, value and headers; None if it is none of ours."""
    try:
        order_id = (key or b"").decode()
        if value is None:
            version = next((text for name, text in headers if name == VERSION), None)
            return None if version is None else HeardOutcome(order_id, version_at(int(version)), None)
        outcome = OrderOutcome.model_validate_json(value)
    except (ValidationError, ValueError):
        return None
    if outcome.order_id != order_id or outcome.version <= NEVER:
        return None
    return HeardOutcome(order_id, version_at(outcome.version), value)
