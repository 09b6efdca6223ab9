"""The topics: their names, keys and settings. Code, compose file and documents take them from here.

Every inbox belongs to one service. The right partition of a record follows from its payload, never from the key that
it was sent with.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from operator import attrgetter
from typing import Any, Final

from confluent_kafka import murmur2

from saga_app.core import records, route
from saga_app.core.errors import Fault, Rejected
from saga_app.core.order import Order
from saga_app.core.records import (
    ForPartition,
    FundsDeposited,
    OrdersEvicted,
    PolicyChanged,
    Record,
    SegmentsClosed,
    StepAnswered,
    StepName,
    StepRequest,
    StockReceived,
)
from saga_app.core.step import by_customer, by_warehouse


def inbox(name: StepName) -> str:
    """The inbox of a service."""
    return f"{name}_events"


CHECKOUT: Final = inbox(StepName.CHECKOUT)
PAYMENT: Final = inbox(StepName.PAYMENT)
INVENTORY: Final = inbox(StepName.INVENTORY)
SHIPPING: Final = inbox(StepName.SHIPPING)
DEAD_LETTERS: Final = "dead_letters"
#: For everybody outside: how each order ended. Its key is the order id.
ORDER_OUTCOMES: Final = "order_outcomes"
#: Only where webhooks are used: the deliveries that an endpoint has not taken.
WEBHOOK_DELIVERIES: Final = "webhook_deliveries"
#: By inbox, its step; and all inboxes in the sequence of the steps.
STEPS: Final = {inbox(step.name): step for step in route.STEPS}
INBOXES: Final = (CHECKOUT, *STEPS)

#: Fixed for the life of the topics: the partition of a key depends on it.
DEFAULT_PARTITIONS: Final = 8

#: The partition of each inbox that takes note of every change of policy first. It sends a copy to each other one, so
#: that all partitions see the changes in the same sequence.
POLICY_PARTITION: Final = 0

KIBIBYTE: Final = 1024
#: Bytes of the largest record in an inbox, and in changelogs and dead letters.
LARGEST_IN_INBOX: Final = 1024 * KIBIBYTE
LARGEST_IN_LOG: Final = 2048 * KIBIBYTE

_OF_TYPE: Final[dict[type, str]] = {
    records.OrderPlaced: CHECKOUT,
    records.CancellationRequested: CHECKOUT,
    records.DeadlinePassed: CHECKOUT,
    records.OrderCompleted: CHECKOUT,
    records.OrderCancelled: CHECKOUT,
    records.RefundOpened: CHECKOUT,
    records.RefundCompleted: CHECKOUT,
    records.RefundRefused: CHECKOUT,
    records.RepaymentRequested: PAYMENT,
    records.RestockRequested: INVENTORY,
    records.FundsDeposited: PAYMENT,
    records.FundsWithdrawn: PAYMENT,
    records.StockReceived: INVENTORY,
    records.StockAdjusted: INVENTORY,
    **{step_request: topic for topic, step in STEPS.items() for step_request in step.requests},
    records.CaptureRequested: PAYMENT,
    records.RetentionStarted: CHECKOUT,
    SegmentsClosed: CHECKOUT,
    records.SegmentsPurged: CHECKOUT,
}


def _of_order(key: Callable[[Order], str]) -> Callable[[StepRequest], str]:
    return lambda step_request: key(step_request.order)


#: By type of record, its key; the others have the order's id.
_KEY_OF: Final[dict[type, Callable[[Any], str]]] = {
    FundsDeposited: attrgetter("customer_id"),
    records.RepaymentRequested: _of_order(by_customer),
    records.RestockRequested: _of_order(by_warehouse),
    records.FundsWithdrawn: attrgetter("customer_id"),
    StockReceived: attrgetter("warehouse"),
    records.StockAdjusted: attrgetter("warehouse"),
    PolicyChanged: attrgetter("policy_id"),
    StepAnswered: attrgetter("key"),
    **dict.fromkeys(ForPartition.__subclasses__(), lambda record: str(record.partition)),
    **{step_request: _of_order(step.key) for step in STEPS.values() for step_request in step.requests},
    records.CaptureRequested: _of_order(route.CAPTURE.key),
}
_ORDER_ID: Final = attrgetter("order_id")


def topic_of(record: Record) -> str:
    """The inbox of a record."""
    topic = _OF_TYPE.get(type(record))
    if topic is not None:
        return topic
    if isinstance(record, PolicyChanged):
        if record.route is not None or record.patience is not None:
            return CHECKOUT
        return PAYMENT if record.limit is not None else SHIPPING
    assert isinstance(record, (OrdersEvicted, StepAnswered))
    return inbox(record.step)


def key_of(record: Record) -> str:
    """The key of a record, from which its partition is computed."""
    key: str = _KEY_OF.get(type(record), _ORDER_ID)(record)
    return key


def key_in(topic: str, order: Order) -> str:
    """The key of an order's records in an inbox."""
    step = STEPS.get(topic)
    return order.order_id if step is None else step.key(order)


def partition_of(key: str, partitions: int) -> int:
    """murmur2, as in Faust, the Java clients and librdkafka's `murmur2_random`."""
    partition: int = murmur2(key.encode(), partitions)
    return partition


def partition_for(record: Record, partitions: int) -> int:
    """The partition of a record; for a change of policy the first one that it comes to.

    `Rejected` if it names a partition that does not exist, or was made for another number of partitions.
    """
    if isinstance(record, PolicyChanged):
        return POLICY_PARTITION
    if isinstance(record, ForPartition):
        made_for = record.partition_count if isinstance(record, SegmentsClosed) else partitions
        named = record.checkout_partition if isinstance(record, OrdersEvicted) else record.partition
        if max(record.partition, named) >= partitions or made_for != partitions:
            raise Rejected(Fault.INVALID, f"it was not made for {partitions} partitions")
        return record.partition
    return partition_of(key_of(record), partitions)


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it must be on the broker."""

    name: str
    partitions: int
    config: dict[str, str]
    replication: int = 1


def changelog(app_id: str, table: str) -> str:
    """The changelog topic of a table, named as Faust names it."""
    return f"{app_id}-{table}-changelog"


def is_changelog(topic: str) -> bool:
    """True if the topic has the name of a changelog."""
    return topic.endswith("-changelog")


def least_in_sync(replication: int) -> int:
    """The least in-sync replicas of an acknowledged record: with three replicas, a lost broker loses no record."""
    return 2 if replication >= 3 else 1


def kept(time: timedelta | None) -> dict[str, str]:
    """The settings of a topic that keeps every record so long; None is for ever.

    Kafka deletes a whole segment when its youngest record is old enough, so daily segments keep records a day longer.
    """
    every = {"cleanup.policy": "delete", "retention.bytes": "-1"}
    if time is None:
        return {**every, "retention.ms": "-1"}
    day, milliseconds = timedelta(days=1), timedelta(milliseconds=1)
    return {**every, "retention.ms": str(time // milliseconds), "segment.ms": str(day // milliseconds)}


def _differs(actual: str, wanted: str) -> bool:
    return actual != wanted


def _is_less(actual: str, wanted: str) -> bool:
    """For amounts; -1 is no limit."""
    return actual != wanted and actual != "-1" and (wanted == "-1" or int(actual) < int(wanted))


#: The rule: a setting stands here if with a weaker value the broker may delete a record, replace it, lose it after it
#: acknowledged it, refuse it, keep one that unpacks to more than a worker's memory, or give it a wrong time. A worker
#: refuses topics that have a weaker value. Whatever else differs, a value that is stronger than wanted too (records are
#: kept for longer), is told and accepted.
BINDING: Final[dict[str, Callable[[str, str], bool]]] = {
    "cleanup.policy": _differs,
    "retention.ms": _is_less,
    "retention.bytes": _is_less,
    "message.timestamp.type": _differs,
    "max.message.bytes": _is_less,
    "min.insync.replicas": _is_less,
    "unclean.leader.election.enable": _differs,
    "min.compaction.lag.ms": _is_less,
    "compression.type": _differs,
}


def is_weaker(setting: str, actual: str, wanted: str) -> bool:
    """True if a worker must not start on a topic with this value, by the rule of `BINDING`."""
    weaker = BINDING.get(setting)
    return weaker is not None and weaker(actual, wanted)


def wanted(
    app_id: str,
    tables: tuple[str, ...],
    partitions: int,
    replication: int = 1,
    inbox_retention: timedelta | None = None,
    dead_letter_retention: timedelta | None = None,
) -> list[Topic]:
    """Every topic of the application. Changelogs are never cut: workers need them.

    Nothing on which a promise rests is left to the broker's defaults.
    """
    every = {
        # Rows have the broker's time too: the audit compares it with the times of the requests that follow from a row.
        "message.timestamp.type": "LogAppendTime",
        "min.insync.replicas": str(least_in_sync(replication)),
        "unclean.leader.election.enable": "false",
    }
    # The broker unpacks what people send, and refuses what is then too large: 4 KB may be 120 MB.
    open_ = {**every, "compression.type": "uncompressed"}
    inbox = {**open_, "max.message.bytes": str(LARGEST_IN_INBOX), **kept(inbox_retention)}
    log = {**every, "max.message.bytes": str(LARGEST_IN_LOG)}
    # Compaction keeps the row that was written last, which may be an old one: within a day it is written again.
    compacted = {**log, "cleanup.policy": "compact", "min.compaction.lag.ms": str(24 * 3600 * 1000)}
    # A reader that was away for less than a week has missed nothing.
    week = str(7 * 24 * 3600 * 1000)
    outcomes = {**compacted, "min.compaction.lag.ms": week, "delete.retention.ms": week}
    return [
        *(Topic(name, partitions, inbox, replication) for name in INBOXES),
        Topic(DEAD_LETTERS, partitions, {**open_, **log, **kept(dead_letter_retention)}, replication),
        Topic(ORDER_OUTCOMES, partitions, outcomes, replication),
        *(Topic(changelog(app_id, table), partitions, compacted, replication) for table in tables),
    ]


def webhook_deliveries(partitions: int, replication: int = 1) -> Topic:
    """The topic of `saga webhooks`, which nobody else needs. A delivery that was taken leaves it soon."""
    config = {
        "message.timestamp.type": "LogAppendTime",
        "min.insync.replicas": str(least_in_sync(replication)),
        "unclean.leader.election.enable": "false",
        "max.message.bytes": str(LARGEST_IN_LOG),
        "cleanup.policy": "compact",
    }
    return Topic(WEBHOOK_DELIVERIES, partitions, config, replication)
