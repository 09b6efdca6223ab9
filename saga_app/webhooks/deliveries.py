"""Deliveries that an endpoint has not taken at once, as they stand in the topic `webhook_deliveries`.

The key is the endpoint and the event's id; a tombstone says that the endpoint has taken it.
"""

from enum import StrEnum
from typing import Final, Self
from zlib import crc32

from pydantic import BaseModel, ConfigDict, ValidationError

from saga_app.kafka.messages import Outgoing
from saga_app.kafka.order_outcomes import TYPES, HeardOutcome
from saga_app.settings import Settings
from saga_app.times import now, written
from saga_app.topics import WEBHOOK_DELIVERIES

SECOND: Final = 1_000
#: Milliseconds from the first try after which a delivery is given up, and for which one that failed is kept then.
TRIED_FOR: Final = 3 * 24 * 3600 * SECOND
KEPT_FOR: Final = 30 * 24 * 3600 * SECOND
#: Milliseconds to the second try; each later one waits twice as long, up to the longest wait.
FIRST_WAIT: Final = 5 * SECOND
LONGEST_WAIT: Final = 4 * 3600 * SECOND
#: Characters of the endpoint's last answer that are kept.
MOST_ANSWER: Final = 200
#: Waits for no order: the key of an endpoint's beginning in a partition.
_BEGUN: Final = "begun"


class DeliveryState(StrEnum):
    """WAITING is tried again by itself; FAILED only if somebody says so."""

    WAITING = "waiting"
    FAILED = "failed"


class WebhookDelivery(BaseModel):
    """An event that an endpoint has not taken. Times are milliseconds since 1970; `last` is its last answer."""

    model_config = ConfigDict(frozen=True)

    endpoint: str
    id: str
    type: str
    order_id: str
    outcome: str
    state: DeliveryState = DeliveryState.WAITING
    tries: int = 0
    first_at: int
    next_at: int
    last: str = ""

    @classmethod
    def new(cls, endpoint: str, heard: HeardOutcome) -> Self:
        """An event that was not tried yet."""
        at, outcome = now(), heard.outcome
        return cls(
            endpoint=endpoint,
            id=heard.id,
            type=event_type(heard),
            order_id=outcome.order_id,
            outcome=(heard.value or b"").decode(),
            first_at=at,
            next_at=at,
        )

    @property
    def key(self) -> str:
        return key_of(self.endpoint, self.id)

    @property
    def body(self) -> str:
        """The payload of Standard Webhooks: type, time and data."""
        # The last field: whatever people wrote into an order comes before it.
        at = self.outcome.rpartition('"ended_at":"')[2].partition('"')[0]
        return f'{{"type":"{self.type}","timestamp":"{at}","data":{self.outcome}}}'

    def not_taken(self, answer: str, at: int, *, wait: int = 0, is_final: bool = False) -> Self:
        """After a try that the endpoint did not take; `wait` is the least number of milliseconds that it asks for."""
        tries = self.tries + 1
        later = min(FIRST_WAIT << min(self.tries, 30), LONGEST_WAIT) * _spread(self.id) // 100
        is_over = is_final or at - self.first_at >= TRIED_FOR
        return self.model_copy(
            update={
                "tries": tries,
                "state": DeliveryState.FAILED if is_over else DeliveryState.WAITING,
                "next_at": at + max(later, min(wait, LONGEST_WAIT)),
                "last": answer[:MOST_ANSWER],
            }
        )

    def again(self, at: int) -> Self:
        """The same, to be tried at once and for three days more: somebody wants it."""
        return self.model_copy(
            update={"state": DeliveryState.WAITING, "first_at": at, "next_at": at, "tries": 0}
        )

    def in_words(self) -> str:
        state = f"next try {written(self.next_at)}" if self.state is DeliveryState.WAITING else "given up"
        return f"{self.endpoint}  {self.id}  {self.type}  {self.tries} tries, {state}: {self.last or 'not tried'}"


def _spread(event: str) -> int:
    """80 to 120 percent, for each event its own: what failed together does not come back together."""
    return 80 + crc32(event.encode()) % 41


class EndpointBegun(BaseModel):
    """Where an endpoint began in a partition of `order_outcomes`, should the group's own position be lost."""

    model_config = ConfigDict(frozen=True)

    endpoint: str
    partition: int
    offset: int


def event_type(heard: HeardOutcome) -> str:
    """The type of the event."""
    return TYPES[heard.outcome.state]  # type: ignore[index]


def group_of(settings: Settings, endpoint: str) -> str:
    """The consumer group of an endpoint."""
    return f"{settings.app_id}-webhooks-{endpoint}"


def key_of(endpoint: str, event: str) -> str:
    """The key of a delivery. No name of an endpoint has a blank."""
    return f"{endpoint} {event}"


def delivery_record(delivery: WebhookDelivery, partition: int) -> Outgoing:
    """A delivery as a record, in the partition of its outcome."""
    return Outgoing(
        WEBHOOK_DELIVERIES,
        delivery.key.encode(),
        delivery.model_dump_json().encode(),
        partition,
    )


def taken_record(delivery: WebhookDelivery, partition: int) -> Outgoing:
    """The tombstone of a delivery that is settled."""
    return Outgoing(WEBHOOK_DELIVERIES, delivery.key.encode(), None, partition)


def begun_record(begun: EndpointBegun) -> Outgoing:
    key = key_of(begun.endpoint, f"{_BEGUN}:{begun.partition}")
    return Outgoing(WEBHOOK_DELIVERIES, key.encode(), begun.model_dump_json().encode(), begun.partition)


def read_value(value: bytes | None) -> WebhookDelivery | EndpointBegun | None:
    """The content of a record; None for a tombstone, and for what is none of ours."""
    for model in (WebhookDelivery, EndpointBegun):
        try:
            found: WebhookDelivery | EndpointBegun = model.model_validate_json(value or b"")
        except ValidationError:
            continue
        return found
    return None
