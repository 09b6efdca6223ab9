"""The topics that are copied: the mappers of their records, their ids, beginnings and ends."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple

from saga_app import topics
from saga_app.core.numbers import Offset
from saga_app.kafka import offsets
from saga_app.kafka.broker_errors import Admin
from saga_app.kafka.commit_notes import GroupHasMembers, commit_offsets
from saga_app.kafka.consumer_group import committed
from saga_app.kafka.messages import Place
from saga_app.orderdb.copy.batch import RowMapper
from saga_app.orderdb.copy.event_rows import event, letter_or_marker
from saga_app.orderdb.copy.table_rows import TABLES
from saga_app.orderdb.copy.taken import Taken
from saga_app.settings import Settings


def row_mappers(app_id: str) -> Mapping[str, RowMapper]:
    """Every topic that is copied, and the function that turns its records into rows."""
    return {
        **{topics.changelog(app_id, table): mapper for table, mapper in TABLES.items()},
        **dict.fromkeys(topics.INBOXES, event),
        topics.DEAD_LETTERS: letter_or_marker,
    }


class SourceTopics(NamedTuple):
    """The topics, with Kafka's ids of the cluster and of each topic. A topic that is made anew has a new id."""

    app_id: str
    cluster_id: str
    topic_ids: dict[str, str]
    places: list[Place]


class TopicsMissing(Exception):
    """Some topics do not exist yet; the message names them."""


class SourceAdmin:
    """Asks the broker about the topics, and waits no longer for an answer than the settings say.

    Methods raise `KafkaException`. Each call uses a client of its own: one that lives for weeks may have lost its
    brokers (see `kafka.liveness`).
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seconds = settings.timeouts.answer

    def topics(self) -> SourceTopics:
        """The topics as they are now. Raises `TopicsMissing` if some do not exist."""
        admin = Admin(self._settings)
        metadata = admin.list_topics(timeout=self._seconds)
        names = list(row_mappers(self._settings.app_id))
        missing = [name for name in names if name not in metadata.topics]
        if missing:
            raise TopicsMissing(
                f"{', '.join(missing)} missing on {self._settings.broker} (SAGA_APP_ID is {self._settings.app_id!r}); "
                "a worker makes them when it starts, and `saga topics --create`"
            )
        ids = offsets.topic_ids(admin, names, self._seconds)
        places = [
            (name, partition) for name in names for partition in sorted(metadata.topics[name].partitions)
        ]
        return SourceTopics(self._settings.app_id, str(metadata.cluster_id), ids, places)

    def beginnings(self, places: Iterable[Place]) -> dict[Place, Offset]:
        """The offset of the first record of each partition."""
        return offsets.beginnings(Admin(self._settings), places, self._seconds)

    def ends(self, places: Iterable[Place]) -> dict[Place, Offset]:
        """The offset after the last record of each partition that may be read."""
        return offsets.readable_ends(Admin(self._settings), places, self._seconds)

    def taken(self, places: Iterable[Place]) -> Taken:
        """The offsets that workers have committed in checkout's inbox, and then the ends of its changelog."""
        admin, app_id = Admin(self._settings), self._settings.app_id
        places = list(places)
        inbox = [place for place in places if place[0] == topics.CHECKOUT]
        found = committed(self._settings, app_id, inbox, self._seconds)
        orders = [place for place in places if place[0] == topics.changelog(app_id, "orders")]
        ends = offsets.readable_ends(admin, orders, self._seconds)
        return Taken({partition: offset for (_, partition), offset in found.items()}, ends)

    def commit(self, reached: Mapping[Place, int]) -> None:
        """Commits the copy's position to its consumer group, for tools that show lag. Nothing else depends on it.

        It is no consumer that commits: a consumer with commits to send cannot be closed while its broker is silent.
        """
        if not reached:
            return
        positions = {place: (Offset(offset), "") for place, offset in reached.items()}
        with suppress(GroupHasMembers, TimeoutError):
            commit_offsets(self._settings, positions, group_of(self._settings), self._seconds)


def group_of(settings: Settings) -> str:
    """The consumer group of the order database."""
    return f"{settings.app_id}-orders"
