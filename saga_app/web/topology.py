"""The workers of the group, the partitions of the inboxes with their lag, and the lag of the order database."""

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from saga_app import topics
from saga_app.dead_letters.format import LetterId
from saga_app.kafka import offsets
from saga_app.kafka.broker_errors import Admin
from saga_app.kafka.consumer_group import TIMEOUT, ConsumerGroup
from saga_app.kafka.messages import Place
from saga_app.kafka.offsets import committed
from saga_app.orderdb.schema import order_events
from saga_app.settings import Settings


class InboxPartition(NamedTuple):
    """One partition of an inbox: its worker, its records, and how many are not committed and not copied.

    `behind` is None if the order database cannot be read.
    """

    topic: str
    partition: int
    owner: str | None
    records: int
    lag: int
    behind: int | None


class Topology(NamedTuple):
    """Members, state (in Kafka's word) and machines of the workers' group, and every partition of every inbox."""

    members: int
    state: str
    hosts: list[str]
    inboxes: list[InboxPartition]


async def is_event(connection: AsyncConnection, at: LetterId) -> bool:
    """True if the order database has a record of this place; so it is a record of an order."""
    place = tuple_(order_events.c.topic, order_events.c.partition, order_events.c.at_offset)
    asked = select(order_events.c.order_id).where(place == tuple_(*at))
    return (await connection.execute(asked)).first() is not None


def read(settings: Settings, copied: Mapping[Place, int]) -> Topology:
    """Reads the topology from Kafka; raises `KafkaException`. Blocking."""
    members = ConsumerGroup(settings).members()
    admin = Admin(settings)
    places = [(topic, each) for topic in topics.INBOXES for each in range(settings.partitions)]
    taken = committed(admin, settings.app_id, places, TIMEOUT)
    first, ends = offsets.beginnings(admin, places), offsets.ends(admin, places)
    inboxes = [
        InboxPartition(
            *place,
            members.owners.get(place),
            ends[place] - first[place],
            max(0, ends[place] - max(taken[place], first[place])),
            max(0, ends[place] - max(copied.get(place, 0), first[place])) if copied else None,
        )
        for place in places
    ]
    return Topology(members.number, members.state, members.hosts, inboxes)
