"""How old the copy is: what the order database does not have yet. Said when it matters."""

import asyncio
import threading
from contextlib import suppress
from typing import NamedTuple

from confluent_kafka import KafkaException

from saga_app.commands.needs_database import with_sql
from saga_app.commands.render.output import Failed
from saga_app.kafka.reachable import reach
from saga_app.kafka.topic_admin import BrokerUnreachable
from saga_app.settings import Settings


class Behind(NamedTuple):
    """Records that the database does not have yet; None where that cannot be told."""

    records: int | None

    def in_words(self) -> str:
        """For the end of a sentence about the copy."""
        if self.records is None:
            return "how far it is behind cannot be told: the broker does not answer"
        if self.records:
            return f"it is {self.records:,} records behind; does `saga orderdb run` run?"
        return "it has all that is in the topics"


@with_sql
def behind_topics(settings: Settings) -> dict[str, int]:
    """Of each topic the records that are not in the database yet. `NoOrders` where there is none."""
    from saga_app.orderdb.copy.source_topics import SourceAdmin
    from saga_app.orderdb.queries import reading

    return SourceAdmin(settings).lag(asyncio.run(reading.ask(settings, reading.positions)))


async def in_background(settings: Settings) -> Behind:
    """The same, in a thread that nobody waits for: a silent broker must not keep a command from ending."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[Behind] = loop.create_future()

    def look() -> None:
        age = behind(settings)
        # Where the loop was closed meanwhile nobody wants to know.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_tell, found, age)

    threading.Thread(target=look, name="behind", daemon=True).start()
    return await found


def _tell(found: "asyncio.Future[Behind]", age: Behind) -> None:
    if not found.done():
        found.set_result(age)


def behind(settings: Settings) -> Behind:
    """How far the copy is behind, whether a broker answers or not."""
    try:
        reach(settings)
        return Behind(sum(behind_topics(settings).values()))
    except (BrokerUnreachable, KafkaException, Failed):
        return Behind(None)
