"""The part of people: they look how far each endpoint is, and send again."""

from collections import Counter
from collections.abc import Iterator
from heapq import nsmallest
from itertools import chain, islice
from typing import Final, NamedTuple

from saga_app import topics
from saga_app.core.numbers import NEVER, version_at
from saga_app.kafka import offsets, topic_admin
from saga_app.kafka.broker_errors import Admin
from saga_app.kafka.chunks import chunks
from saga_app.kafka.consumer_group import TIMEOUT, committed
from saga_app.kafka.messages import Outgoing
from saga_app.kafka.order_outcomes import HeardOutcome, OrderOutcomeReader
from saga_app.kafka.reachable import require_broker
from saga_app.kafka.sender import Sender
from saga_app.kafka.signatures import Signatures
from saga_app.operator_log import log_action
from saga_app.settings import Settings
from saga_app.times import now
from saga_app.topics import ORDER_OUTCOMES, WEBHOOK_DELIVERIES, Topic
from saga_app.webhooks.board import contents, deliveries
from saga_app.webhooks.deliveries import (
    DeliveryState,
    EndpointBegun,
    WebhookDelivery,
    delivery_record,
    group_of,
)

#: Deliveries that are written together.
_AT_A_TIME: Final = 500


class EndpointBacklog(NamedTuple):
    """How far an endpoint is; `lag` is None if it has not begun."""

    lag: int | None
    waiting: int
    failed: int

    def in_words(self) -> str:
        lag = "not begun" if self.lag is None else f"{self.lag:,} to come"
        return f"{lag}, {self.waiting:,} waiting, {self.failed:,} failed"


def require_deliveries(settings: Settings) -> None:
    """Raises `TopicsWrong` if no process of webhooks has ever run here."""
    require_broker(settings)
    wanted = Topic(WEBHOOK_DELIVERIES, settings.partitions, {})
    if topic_admin.check(settings, [wanted]).missing:
        raise topic_admin.TopicsWrong(
            f"topic {WEBHOOK_DELIVERIES} is not on {settings.broker}; `saga webhooks run` makes it"
        )


def backlogs(settings: Settings, endpoints: list[str] | None = None) -> dict[str, EndpointBacklog]:
    """How far each endpoint is; without names, each that has ever begun.

    Raises `KafkaException`, `TimeoutError`, `TopicsWrong`.
    """
    require_deliveries(settings)
    found, begun = Counter[tuple[str, DeliveryState]](), set[str]()
    for _, each in contents(settings):
        if isinstance(each, EndpointBegun):
            begun.add(each.endpoint)
        else:
            found[each.endpoint, each.state] += 1
    return {
        name: EndpointBacklog(
            _lag(settings, name) if name in begun else None,
            found[name, DeliveryState.WAITING],
            found[name, DeliveryState.FAILED],
        )
        for name in (sorted(begun) if endpoints is None else endpoints)
    }


def resend(settings: Settings, endpoint: str, ids: frozenset[str], order_id: str | None) -> list[str]:
    """Writes down that these events are to be tried again; without ids all that failed. Returns their ids."""
    again = (
        _outcome(settings, endpoint, order_id)
        if order_id is not None
        else (
            (partition, each)
            for partition, each in deliveries(settings)
            if each.endpoint == endpoint and (each.id in ids if ids else each.state is DeliveryState.FAILED)
        )
    )
    sender, sent = Sender(settings), list[str]()
    while part := list(islice(again, _AT_A_TIME)):
        sender.post(_again(partition, each) for partition, each in part)
        sent += [each.id for _, each in part]
    log_action(settings, "webhooks resend", endpoint=endpoint, events=len(sent), first=sent[:1])
    return sent


def open_deliveries(settings: Settings, most: int) -> list[WebhookDelivery]:
    """The deliveries that failed, then those that wait, so many at most; the next one to be tried first."""
    found = (each for _, each in deliveries(settings))
    return nsmallest(
        most, found, key=lambda each: (each.state is DeliveryState.WAITING, each.next_at, each.id)
    )


def _again(partition: int, delivery: WebhookDelivery) -> Outgoing:
    return delivery_record(delivery.again(now()), partition)


def _outcome(settings: Settings, endpoint: str, order_id: str) -> Iterator[tuple[int, WebhookDelivery]]:
    """The last outcome of this order, if it is there still."""
    place = (ORDER_OUTCOMES, topics.partition_of(order_id, settings.partitions))
    admin, reader = Admin(settings), OrderOutcomeReader(Signatures.of(settings))
    begin, end = offsets.beginnings(admin, [place])[place], offsets.ends(admin, [place])[place]
    last = HeardOutcome(order_id, version_at(NEVER), None)
    for message in chain.from_iterable(chunks(settings.kafka, *place, begin, end)):
        if message.key() == order_id.encode():
            last = reader.read(message) or last
    if last.value is not None:
        yield place[1], WebhookDelivery.new(endpoint, last)


def _lag(settings: Settings, endpoint: str) -> int:
    places = [(ORDER_OUTCOMES, each) for each in range(settings.partitions)]
    done = committed(settings, group_of(settings, endpoint), places, TIMEOUT)
    ends = offsets.ends(Admin(settings), places)
    return sum(max(0, ends[each] - done[each]) for each in places)
