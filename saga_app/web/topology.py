"""What runs where: the topics with their lag, the workers of the group, and how old the order database is."""

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from saga_app import topics
from saga_app.dead_letters.format import LetterId
from saga_app.kafka import offsets
from saga_app.kafka.broker_errors import Admin
from saga_app.kafka.consumer_group import PATIENCE, Group
from saga_app.kafka.messages import Place
from saga_app.kafka.offsets import committed
from saga_app.orderdb.queries import reading
from saga_app.orderdb.schema import order_events
from saga_app.settings import Settings


class Inbox(NamedTuple):
    """One partition of an inbox: its worker, records, those not taken yet, and those not copied; None: not known."""

    topic: str
    partition: int
    owner: str | None
    records: int
    lag: int
    behind: int | None


class Topology(NamedTuple):
    """`members` and `hosts` of the workers' group, its `state` in Kafka's word, and every partition of every inbox."""

    members: int
    state: str
    hosts: list[str]
    inboxes: list[Inbox]


async def progress(connection: AsyncConnection) -> Mapping[Place, int]:
    """How far each partition was copied."""
    return await reading.positions(connection)


async def is_event(connection: AsyncConnection, at: LetterId) -> bool:
    """Whether the order database knows a record at this place, so that it is certainly one of an order's."""
    place = tuple_(order_events.c.topic, order_events.c.partition, order_events.c.at_offset)
    asked = select(order_events.c.order_id).where(place == tuple_(*at))
    return (await connection.execute(asked)).first() is not None


def look(settings: Settings, copied: Mapping[Place, int]) -> Topology:
    """Asks Kafka; raises `KafkaException`. Blocking."""
    members = Group(settings).members()
    admin = Admin(settings)
    places = [(topic, each) for topic in topics.INBOXES for each in range(settings.partitions)]
    taken = committed(admin, settings.app_id, places, PATIENCE)
    first, ends = offsets.beginnings(admin, places), offsets.ends(admin, places)
    inboxes = [
        Inbox(
            *place,
            members.owners.get(place),
            ends[place] - first[place],
            max(0, ends[place] - max(taken[place], first[place])),
            max(0, ends[place] - max(copied.get(place, 0), first[place])) if copied else None,
        )
        for place in places
    ]
    return Topology(members.number, members.state, members.hosts, inboxes)
