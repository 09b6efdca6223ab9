"""The projector: it copies the topics into the database, and after any failure begins again from the database's state.

There is one way to recover, and it is the way it starts: look at the topics, ask the database for its positions, and
read on from there. So no record is lost or written twice, whatever fails: the broker or the database may be away, the
answer to a commit may be lost, another process may have written, topics may have been made anew.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, TypeVar

from confluent_kafka import KafkaException

from saga_app.kafka.broker_errors import refused
from saga_app.kafka.messages import Place
from saga_app.orderdb.copy.batch_reader import BatchReader, Report
from saga_app.orderdb.copy.sink import Overtaken, Sink
from saga_app.orderdb.copy.source_topics import SourceAdmin, SourceTopics, TopicsMissing
from saga_app.orderdb.copy.taken import TakenPositions
from saga_app.orderdb.database import Database, DatabaseReplaced, in_words, is_down
from saga_app.settings import Settings

if TYPE_CHECKING:
    from saga_app.orderdb.traces.tracer import Tracer

#: Seconds between two attempts to begin: the first pause, and the longest.
PAUSES: Final = (0.5, 10.0)
#: Seconds from one look at the topics to the next.
LOOK_EVERY: Final = 5.0
#: Seconds from one count of orders by minute to the next.
COUNT_EVERY: Final = 1.0

Answer = TypeVar("Answer")


class TopicsChanged(Exception):
    """The topics are no longer the ones that are being read."""


class Projector:
    """Copies until it is stopped, or until the end of the topics. `records` counts the copied records."""

    def __init__(
        self, settings: Settings, database: Database, report: Report, tracer: "Tracer | None" = None
    ) -> None:
        self._settings = settings
        self._database = database
        self._report = report
        self._tracer = tracer
        self._sink = Sink(database)
        self._admin = SourceAdmin(settings)
        # One thread: librdkafka's calls block, and must come one after the other.
        self._thread = ThreadPoolExecutor(1, "saga-orderdb")
        self._pause = PAUSES[0]
        self._problem = ""
        self._shared = False
        self._count_at = 0.0
        self._uncommitted: dict[Place, int] = {}
        self.records = 0

    async def run(self, stop: asyncio.Event, *, once: bool = False) -> None:
        """Runs until `stop`; with `once` until everything is copied that was there at the start.

        Raises `DatabaseWrong`, and `KafkaException` if the broker refuses access.
        """
        made = False
        while not stop.is_set():
            try:
                if not made:
                    await self._database.make()
                    made = True
                await self._copy_from_database_state(stop, once=once)
                return
            except (TopicsChanged, TopicsMissing) as error:
                self._report_once(str(error))
            except DatabaseReplaced as error:
                self._report(
                    f"{error}; going on with the file that is there, from the beginning if it is new"
                )
                await self._database.reopen()
                made = False
                continue
            except Overtaken:
                self._report_shared()
            except KafkaException as error:
                if refused(error.args[0]):
                    raise
                self._report_once(f"Kafka: {error.args[0].str()}; waiting")
            except Exception as error:
                if not is_down(error):
                    raise
                self._report_once(f"{self._database.name}: {in_words(error)}; waiting")
            await self._wait(stop)

    async def _copy_from_database_state(self, stop: asyncio.Event, *, once: bool) -> None:
        source = await self._call(self._admin.topics)
        position = await self._sink.begin(source)
        if position.renewed:
            what = "everything is" if position.emptied else "their rows are"
            self._report_once(f"{', '.join(position.renewed)} made anew: {what} copied from the beginning")
        ends = await self._call(self._admin.ends, source.places)
        start = await self._start(source, position.next, ends)
        reader = await self._call(BatchReader, self._settings, start, self._report)
        try:
            await self._copy(reader, source, position.batches, stop, ends if once else None)
            while once and await self._sink.count():
                pass
            await self._commit()
        finally:
            await self._call(reader.close)

    async def _start(
        self, source: SourceTopics, copied: Mapping[Place, int], ends: Mapping[Place, int]
    ) -> dict[Place, int]:
        """The offset of each partition from which to read on."""
        first = await self._call(self._admin.beginnings, source.places)
        for (topic, partition), offset in copied.items():
            place = (topic, partition)
            if offset < first[place]:
                self._report(
                    f"{topic}[{partition}]: the records from {offset} to {first[place] - 1} were deleted before they "
                    "were copied; going on behind them"
                )
            if offset > ends[place]:
                raise TopicsChanged(
                    f"{topic}[{partition}] ends at {ends[place]}, but {offset} was copied; waiting for its records. If "
                    "they are lost for good: saga orderdb rebuild"
                )
        return {place: max(first[place], copied.get(place, 0)) for place in source.places}

    async def _copy(
        self,
        reader: BatchReader,
        source: SourceTopics,
        batches: int,
        stop: asyncio.Event,
        ends: Mapping[Place, int] | None,
    ) -> None:
        """Copies batch by batch; with `ends` until they are reached."""
        looked = time.monotonic()
        left = {place: end for place, end in (ends or {}).items() if reader.start[place] < end}
        taken = TakenPositions(reader.start)
        reading = self._call(reader.read)
        try:
            while not stop.is_set() and (left or ends is None):
                fetched, batch = await reading
                # The next batch is read while this one is written.
                reading = self._call(reader.read)
                if fetched.reached:
                    batches = await self._sink.write(batch, fetched.reached, source, batches)
                    self.records += len(fetched.messages)
                    if self._tracer is not None:
                        self._tracer.copied(batch)
                    self._is_well()
                    taken.reached(fetched.reached)
                    self._uncommitted.update(fetched.reached)
                    left = {place: end for place, end in left.items() if fetched.reached.get(place, 0) < end}
                self._database.check_file()
                reader.report_progress(self.records)
                await self._take(taken, source)
                await self._count()
                if time.monotonic() - looked >= LOOK_EVERY:
                    await self._look(source)
                    looked = time.monotonic()
        finally:
            reading.cancel()

    async def _take(self, taken: TakenPositions, source: SourceTopics) -> None:
        """Keeps up to date how far workers have taken checkout's inbox."""
        if taken.must_ask():
            try:
                taken.told(await self._call(self._admin.taken, source.places))
            except KafkaException as error:
                self._report_once(f"Kafka: {error.args[0].str()}; waiting")
                return
        if offsets := taken.true_now():
            await self._sink.take(offsets)

    async def _count(self) -> None:
        """Counts orders by minute about once a second, and in at most a tenth of the time."""
        began = time.monotonic()
        if began < self._count_at:
            return
        has_more = await self._sink.count()
        took = time.monotonic() - began
        self._count_at = time.monotonic() + max(0.0 if has_more else COUNT_EVERY, took * 9)

    async def _look(self, source: SourceTopics) -> None:
        """Raises `TopicsChanged` if a topic was made anew: a consumer may read on in it without noticing."""
        try:
            found = await self._call(self._admin.topics)
        except KafkaException as error:
            self._report_once(f"Kafka: {error.args[0].str()}; waiting")
            return
        if found != source:
            raise TopicsChanged("the topics have changed; looking again")
        await self._commit()

    async def _commit(self) -> None:
        reached, self._uncommitted = self._uncommitted, {}
        await self._call(self._admin.commit, reached)

    def _report_once(self, problem: str) -> None:
        """Reports a problem once, however often the same attempt fails."""
        if problem != self._problem:
            self._problem = problem
            self._report(problem)

    def _is_well(self) -> None:
        """A batch was written: the last problem is over."""
        if self._problem:
            self._report("going on")
        self._pause, self._problem = PAUSES[0], ""

    def _report_shared(self) -> None:
        if not self._shared:
            self._shared = True
            self._report(f"another process writes to {self._database.name} too; one is enough")

    async def _wait(self, stop: asyncio.Event) -> None:
        pause, self._pause = self._pause, min(self._pause * 2, PAUSES[1])
        try:
            await asyncio.wait_for(stop.wait(), pause)
        except TimeoutError:
            return

    def _call(self, function: Callable[..., Answer], *arguments: Any) -> "asyncio.Future[Answer]":
        return asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)
