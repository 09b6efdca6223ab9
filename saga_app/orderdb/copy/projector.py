"""The loop: takes records, writes them, and after anything that goes wrong begins again from what the database has.

There is one way to recover, and it is the way it starts: look at the topics, ask the database how far it has got, and
read on from there. So nothing is lost or written twice, whatever was under way: broker or database may be away,
an answer to a commit may be lost, somebody else may have written, topics may have been made anew.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, TypeVar

from confluent_kafka import KafkaException

from saga_app.kafka.broker_errors import refused
from saga_app.kafka.messages import Place
from saga_app.orderdb.copy.batch import RowBatch
from saga_app.orderdb.copy.mapping import row_mappers
from saga_app.orderdb.copy.progress import Progress, Say
from saga_app.orderdb.copy.sink import Overtaken, Sink
from saga_app.orderdb.copy.source import Fetched, SourceConsumer
from saga_app.orderdb.copy.source_topics import SourceAdmin, SourceTopics, TopicsMissing
from saga_app.orderdb.database import Database, in_words, is_down
from saga_app.settings import Settings

if TYPE_CHECKING:
    from saga_app.orderdb.traces.tracer import Tracer

#: Seconds between two attempts to begin: the first pause, and the longest.
PAUSES: Final = (0.5, 10.0)
#: Seconds from one look at the topics to the next.
LOOK_EVERY: Final = 5.0

Answer = TypeVar("Answer")


class TopicsChanged(Exception):
    """The topics are not those that are being read."""


class Projector:
    """Copies until it is told to stop, or until the end."""

    def __init__(
        self, settings: Settings, database: Database, say: Say, tracer: "Tracer | None" = None
    ) -> None:
        self._settings = settings
        self._database = database
        self._say = say
        self._tracer = tracer
        self._sink = Sink(database)
        self._broker = SourceAdmin(settings)
        self._readers = row_mappers(settings.app_id)
        # librdkafka's calls wait, one after the other.
        self._thread = ThreadPoolExecutor(1, "saga-orderdb")
        self._pause = PAUSES[0]
        self._trouble = ""
        self._shared = False
        self._uncommitted: dict[Place, int] = {}
        self.records = 0

    async def run(self, stop: asyncio.Event, *, once: bool = False) -> None:
        """Until `stop`, or with `once` until all is copied that was there when it began. Raises `DatabaseWrong`."""
        made = False
        while not stop.is_set():
            try:
                if not made:
                    await self._database.make()
                    made = True
                await self._follow(stop, once=once)
                return
            except (TopicsChanged, TopicsMissing) as error:
                self._tell(str(error))
            except Overtaken:
                self._share()
            except KafkaException as error:
                if refused(error.args[0]):
                    raise
                self._tell(f"Kafka: {error.args[0].str()}; waiting")
            except Exception as error:
                if not is_down(error):
                    raise
                self._tell(f"{self._database.name}: {in_words(error)}; waiting")
            await self._wait(stop)

    async def _follow(self, stop: asyncio.Event, *, once: bool) -> None:
        origin = await self._call(self._broker.origin)
        position = await self._sink.begin(origin)
        if position.emptied:
            self._tell(f"{', '.join(position.emptied)} made anew: everything is copied from the beginning")
        ends = await self._call(self._broker.ends, origin.places)
        start = await self._start(origin, position.next, ends)
        feed = await self._call(SourceConsumer, self._settings, start)
        try:
            await self._copy(feed, origin, position.batches, stop, ends if once else None)
            await self._commit()
        finally:
            await self._call(feed.close)

    async def _start(
        self, origin: SourceTopics, known: dict[Place, int], ends: dict[Place, int]
    ) -> dict[Place, int]:
        """Where to read on, for each partition."""
        first = await self._call(self._broker.beginnings, origin.places)
        for (topic, partition), offset in known.items():
            place = (topic, partition)
            if offset < first[place]:
                self._say(
                    f"{topic}[{partition}]: the records from {offset} to {first[place] - 1} were deleted before they "
                    "were copied; going on behind them"
                )
            if offset > ends[place]:
                raise TopicsChanged(
                    f"{topic}[{partition}] ends at {ends[place]}, but {offset} was copied; waiting for its records. If "
                    "they are lost for good: saga orderdb rebuild"
                )
        return {place: max(first[place], known.get(place, 0)) for place in origin.places}

    async def _copy(
        self,
        feed: SourceConsumer,
        origin: SourceTopics,
        batches: int,
        stop: asyncio.Event,
        ends: dict[Place, int] | None,
    ) -> None:
        """Batch by batch; with `ends` until they are reached."""
        progress = Progress(self._say)
        looked = time.monotonic()
        left = {place: end for place, end in (ends or {}).items() if feed.start[place] < end}
        gathering = self._call(self._gather, feed)
        try:
            while not stop.is_set() and (left or ends is None):
                taken, entries = await gathering
                # The next batch is read while this one is written.
                gathering = self._call(self._gather, feed)
                if taken.reached:
                    batches = await self._sink.write(entries, taken.reached, origin, batches)
                    self.records += len(taken.messages)
                    if self._tracer is not None:
                        self._tracer.copied(entries)
                    self._pause, self._trouble = PAUSES[0], ""
                    self._uncommitted.update(taken.reached)
                    left = {place: end for place, end in left.items() if taken.reached.get(place, 0) < end}
                progress.tell(self.records, feed)
                if time.monotonic() - looked >= LOOK_EVERY:
                    await self._look(origin)
                    looked = time.monotonic()
        finally:
            gathering.cancel()

    def _gather(self, feed: SourceConsumer) -> tuple[Fetched, RowBatch]:
        taken = feed.take()
        return taken, self._read(taken)

    async def _look(self, origin: SourceTopics) -> None:
        """Topics that are made anew may be read on as if nothing had happened."""
        try:
            found = await self._call(self._broker.origin)
        except KafkaException as error:
            self._tell(f"Kafka: {error.args[0].str()}; waiting")
            return
        if found != origin:
            raise TopicsChanged("the topics have changed; looking again")
        await self._commit()

    async def _commit(self) -> None:
        reached, self._uncommitted = self._uncommitted, {}
        await self._call(self._broker.commit, reached)

    def _read(self, taken: Fetched) -> RowBatch:
        entries = RowBatch()
        for message in taken.messages:
            try:
                self._readers[message.topic()](entries, message)
            except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as error:
                place = f"{message.topic()}[{message.partition()}] at offset {message.offset()}"
                self._say(f"{place} is no record of ours and was left out: {type(error).__name__}: {error}")
        return entries

    def _tell(self, trouble: str) -> None:
        """Once, however often it is tried again."""
        if trouble != self._trouble:
            self._trouble = trouble
            self._say(trouble)

    def _share(self) -> None:
        if not self._shared:
            self._shared = True
            self._say(f"another process writes to {self._database.name} too; one is enough")

    async def _wait(self, stop: asyncio.Event) -> None:
        pause, self._pause = self._pause, min(self._pause * 2, PAUSES[1])
        try:
            await asyncio.wait_for(stop.wait(), pause)
        except TimeoutError:
            return

    def _call(self, ask: Callable[..., Answer], *arguments: Any) -> "asyncio.Future[Answer]":
        return asyncio.get_running_loop().run_in_executor(self._thread, ask, *arguments)
