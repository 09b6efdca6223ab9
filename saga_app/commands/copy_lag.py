"""The lag of the order database: the records in the topics that are not copied yet."""

import asyncio
from typing import NamedTuple

from confluent_kafka import KafkaException

from saga_app.commands.needs_database import needs_database
from saga_app.commands.render.output import CommandFailed
from saga_app.health.broker import BrokerReader
from saga_app.kafka.reachable import require_broker
from saga_app.kafka.topic_admin import BrokerUnreachable
from saga_app.settings import Settings


class CopyLag(NamedTuple):
    """The number of records that the database does not have yet; None if the broker does not answer."""

    records: int | None

    def in_words(self) -> str:
        """The lag as the end of a sentence about the copy."""
        if self.records is None:
            return "how far it is behind is not known: the broker does not answer"
        if self.records:
            return f"it is {self.records:,} records behind; does `saga orderdb run` run?"
        return "it has all that is in the topics"


def copy_lag(settings: Settings) -> CopyLag:
    """The lag of the whole database, also if no broker answers."""
    try:
        return CopyLag(sum(lag_by_topic(settings).values()))
    except (BrokerUnreachable, KafkaException, CommandFailed):
        return CopyLag(None)


@needs_database
def lag_by_topic(settings: Settings) -> dict[str, int]:
    """The number of records of each topic that are not copied yet. `NoOrderDatabase` if there is none."""
    from saga_app.orderdb.copy.source_topics import SourceAdmin
    from saga_app.orderdb.queries import reading

    require_broker(settings)
    copied = asyncio.run(reading.ask(settings, reading.positions))
    names = SourceAdmin(settings).topics().topic_ids
    reader = BrokerReader(settings)
    try:
        copy = reader.read(names, copied).copy
    finally:
        reader.close()
    assert copy is not None, "the database was read"
    return {name: copy.by_topic[name] for name in names}
