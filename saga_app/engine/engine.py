"""The engine of one worker: stores, inbox buffers, reader, rounds, lease and clock, put together.

It knows Kafka and RocksDB but not Faust; the overrides in `engine.faust` tell it when partitions come and go.
The agents decide and forward with its rounds; it restores, reads, and says how far each inbox is durable.
"""

import asyncio
import gc
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial, wraps
from typing import Final

from saga_app import topics
from saga_app.core.decider import Service
from saga_app.core.numbers import Generation, Offset
from saga_app.core.records import Record
from saga_app.engine import positions
from saga_app.engine.assignment import Assignment
from saga_app.engine.commit_note import UNKNOWN_EPOCH, InboxMark
from saga_app.engine.commits import GroupCommits
from saga_app.engine.deadlines import DeadlineTimer
from saga_app.engine.durability import Changed, Point
from saga_app.engine.exits import Exit, Fatal, ends_process
from saga_app.engine.inbox_buffer import InboxBuffer
from saga_app.engine.late_writes import LateWrites
from saga_app.engine.lease import Lease
from saga_app.engine.log import KafkaLog
from saga_app.engine.outage import Outage
from saga_app.engine.pace import Pace
from saga_app.engine.partition_state import PartitionState
from saga_app.engine.ports import Batches, GivenUp, Log, Observer, StepFollower
from saga_app.engine.positions import InboxPosition
from saga_app.engine.reader import Reader
from saga_app.engine.retention import Ages, RetentionTimer
from saga_app.engine.round import MOST_WRITTEN, Round
from saga_app.engine.stores.manager import StoreManager, Superseded
from saga_app.kafka.broker_errors import Admin, RefusalLogger
from saga_app.kafka.messages import Batch, Fetch, Place
from saga_app.kafka.signatures import Signatures
from saga_app.settings import Settings
from saga_app.wire import BoundedCache, Decoder

logger = logging.getLogger(__name__)

#: The loop of an agent: it consumes its inbox, decides and forwards.
Listen = Callable[[Batches, Round], Awaitable[None]]


#: Seconds that a round may take to finish when partitions are taken away.
LONGEST_DRAIN: Final = 15.0


class Engine:
    """Everything a worker does between Faust's rebalances."""

    def __init__(
        self,
        settings: Settings,
        services: Sequence[Service],
        observer: Observer,
        passing: Callable[[str, Point], None] = lambda topic, point: None,
        follow: Callable[[Log], StepFollower] | None = None,
    ) -> None:
        self.settings = settings
        self._follow = follow
        #: Made when the engine starts: it makes the calls for effects outside.
        self.follower: StepFollower | None = None
        self.services = services
        self.observer = observer
        self.passing = passing
        self.store_manager = StoreManager(settings, services)
        self.assignment = Assignment()
        timeouts = settings.timeouts
        self.lease = Lease(timeouts.session, timeouts.delivery, self.assignment)
        self.outage = Outage(lambda: self.lease.age)
        pace = Pace()
        self.buffers = {
            service.topic: InboxBuffer(
                service.topic, self.assignment, partial(self._settled, service.topic), pace
            )
            for service in services
        }
        self.states: dict[str, dict[int, PartitionState]] = {service.topic: {} for service in services}
        self.commits = GroupCommits(services, self.store_manager, self.states)
        self._written = BoundedCache[Record](MOST_WRITTEN)
        self._decoder = Decoder()
        self._signatures = Signatures.of(settings)
        self._tasks: list[asyncio.Task[None]] = []
        self._restoring = asyncio.Lock()
        self._epochs: dict[Place, int] = {}

    def start(self) -> None:
        """Starts threads and timers, before the agents start."""
        # A round makes and drops many thousands of small objects; what was imported need not be looked at each time.
        gc.freeze()
        gc.set_threshold(200_000, 20, 50)
        self.store_manager.start()
        kafka, delivery = self.settings.kafka, self.settings.timeouts.delivery
        self.log = KafkaLog(kafka, delivery, self.lease, self.settings.partitions, self._signatures)
        self.clock = DeadlineTimer(self.log)
        ages = Ages(self.settings.order_retention, self.settings.order_id_retention)
        self.retention = RetentionTimer(self.log, self.settings.partitions, ages)
        self.follower = None if self._follow is None else self._follow(self.log)
        self._loop = asyncio.get_running_loop()
        self.rounds = {service.topic: self._round(service) for service in self.services}
        self.reader = Reader(
            {**kafka, "error_cb": RefusalLogger(self.outage.complain)},
            list(self.buffers),
            self._fetched,
            lambda topic: self.buffers[topic].has_room(),
        )
        self.reader.start()
        late_writes = LateWrites(self.assignment, self.store_manager.stores, self.store_manager.ends)
        keep_time = ends_process(self._keep_time)
        self._tasks = [
            asyncio.create_task(keep_time(self.clock), name="deadline timer"),
            asyncio.create_task(keep_time(self.retention), name="retention timer"),
            asyncio.create_task(keep_time(late_writes), name="late_writes"),
        ]
        if self.follower is not None:
            self._tasks.append(asyncio.create_task(keep_time(self.follower), name="follower of steps"))

    async def stop(self) -> None:
        """Ends tasks and threads and gives up the files."""
        self.assignment.stop()
        for task in self._tasks:
            task.cancel()
        self.reader.close()
        async with self._restoring:
            self.store_manager.close()
        await self.log.close()

    def assign(self, partitions: Iterable[int], generation: Generation) -> None:
        """The group gave this worker these partitions of each inbox."""
        self.assignment.assign(generation, partitions)
        self.lease.take(generation)

    async def prepare(self, generation: Generation) -> None:
        """Opens and restores the partitions and closes all others. Nothing is decided before this is over."""
        # A rebalance that comes meanwhile cancels the caller, but not the thread that writes the files.
        await asyncio.shield(asyncio.create_task(ends_process(self._prepare)(generation)))

    async def _prepare(self, generation: Generation) -> None:
        async with self._restoring:
            if self.assignment.preparing != generation:
                return
            wanted = sorted(self.assignment.partitions)
            self.store_manager.keep(wanted)
            began = time.perf_counter()

            def goes_on() -> bool:
                return self.assignment.preparing == generation

            try:
                with self.store_manager.fatal_faults():
                    restored = await asyncio.to_thread(self.store_manager.restore, wanted, goes_on)
                    if not goes_on():
                        return
                    await self.commits.repair(restored, self.log, generation, goes_on)
                    self.states_of(wanted)
                    # A restore that was overtaken just here has loaded what is no longer ours, and its files are
                    # closed.
                    self._stop_senders()
                    await asyncio.to_thread(self._load_senders, wanted)
                    self.observer.restored(time.perf_counter() - began)
            except (Superseded, GivenUp):
                return
            except Exception as error:
                raise Fatal(Exit.RESTORE_FAILED, f"restoring partitions {wanted}: {error!r}") from error

    def states_of(self, partitions: Iterable[int]) -> None:
        """Fresh states, with nothing decided, over the stores of these partitions."""
        for service in self.services:
            states = self.states[service.topic]
            states.clear()
            for partition in partitions:
                stores = {table: self.store_manager.stores[table, partition] for table in service.tables}
                states[partition] = PartitionState(service.decider.journal, service.decider.balances, stores)

    async def begin(self, committed: Mapping[Place, Offset | None], generation: Generation) -> None:
        """Starts to read: from the committed offsets, or from the store's where the group has none."""
        found = await asyncio.to_thread(ends_process(self._positions), committed)
        if not self.assignment.hold(generation):
            # The next rebalance was quicker: another worker may already own these partitions.
            return
        for topic, buffer in self.buffers.items():
            own = {partition: each.at for (name, partition), each in found.items() if name == topic}
            buffer.open(own)
        self._epochs = {place: each.epoch for place, each in found.items()}
        self.reader.assign({place: each.at for place, each in found.items()}, generation, self._epochs)
        for sender in self._senders:
            sender.start(generation)

    def suspend(self) -> None:
        """Gives up the partitions: reads no more, drops what waits undecided; a round may finish."""
        self.assignment.give_up()
        self._stop_senders()
        self.reader.unassign()
        for buffer in self.buffers.values():
            buffer.close()

    async def drained(self) -> None:
        """Returns when no round runs; ends the process if that takes too long."""
        try:
            async with asyncio.timeout(LONGEST_DRAIN):
                for buffer in self.buffers.values():
                    await buffer.closed()
                for sender in self._senders:
                    await sender.rested()
        except TimeoutError as error:
            raise Fatal(
                Exit.REVOKE_TOO_SLOW,
                f"a round did not end within {LONGEST_DRAIN:.0f} s of a rebalance or stop",
            ) from error

    @property
    def durable(self) -> dict[Place, Offset]:
        """The next offset of each inbox partition that is not durable: this may be committed."""
        return {
            (topic, each): at for topic, buffer in self.buffers.items() for each, at in buffer.durable.items()
        }

    def _round(self, service: Service) -> Round:
        buffer = self.buffers[service.topic]
        return Round(
            service.topic,
            service.decider,
            self.settings.partitions,
            lambda table: topics.changelog(self.settings.app_id, table),
            inbox=buffer,
            journal=self.log,
            publisher=self.log,
            states=self.states[service.topic],
            written=self._written,
            decoder=self._decoder,
            signatures=self._signatures,
            passing=lambda point: self.passing(service.topic, point),
            applied=lambda partition, changes: self._applied(service.topic, partition, changes),
        )

    def _applied(self, topic: str, partition: int, changes: Changed) -> None:
        if topic == topics.CHECKOUT:
            self.clock.changed(partition, changes)
        elif self.follower is not None:
            self.follower.changed(topics.STEPS[topic].name, changes)
        self.observer.changed(topic, changes)

    def agent(self, topic: str, listen: Listen) -> Callable[[Batches], Awaitable[None]]:
        """The agent as Faust starts and stops it. Every failure in it is `Fatal`, or Faust would start it again."""

        @wraps(listen)
        async def agent(inbox: Batches) -> None:
            await self._listen(topic, listen, inbox)

        return ends_process(agent)

    async def _listen(self, topic: str, listen: Listen, inbox: Batches) -> None:
        try:
            with self.store_manager.fatal_faults():
                await listen(inbox, self.rounds[topic])
        except asyncio.CancelledError:
            self.buffers[topic].rest()
            raise
        except Fatal as fatal:
            if fatal.exit is Exit.CHANGELOG_CUT:
                self.store_manager.flush()
            raise
        except Exception as error:
            raise Fatal(Exit.ROUND_FAILED, f"round of {topic}: {error!r}") from error
        raise Fatal(Exit.ROUND_FAILED, f"the agent of {topic} has ended; it must ask for more for ever")

    def _fetched(self, fetched: Mapping[str, Fetch]) -> None:
        """In the reader's thread: the main loop is woken once for all inboxes."""
        for topic, fetch in fetched.items():
            self.buffers[topic].fetched(fetch)
        self._loop.call_soon_threadsafe(self._deliver, fetched)

    def _deliver(self, fetched: Mapping[str, Fetch]) -> None:
        for topic, fetch in fetched.items():
            for batch in fetch:
                if batch.epoch != self._epochs.get((topic, batch.partition)):
                    self._new_leader(topic, batch)
                self.buffers[topic].deliver(batch)

    def _new_leader(self, topic: str, batch: Batch) -> None:
        """The disk knows the leader epoch of a record before it claims to have decided the record."""
        if self.assignment.held != batch.generation or batch.epoch == UNKNOWN_EPOCH:
            return
        journal = next(each.decider.journal for each in self.services if each.topic == topic)
        store = self.store_manager.stores[journal, batch.partition]
        self._epochs[topic, batch.partition] = batch.epoch
        if store.mark is not None:
            store.read_from(InboxMark(store.mark.topic_id, batch.epoch))

    def _settled(self, topic: str, batches: Fetch, seconds: float) -> None:
        """An agent has done with these batches."""
        self.observer.round_ended(topic, batches, seconds)
        notes = self.rounds[topic].notes
        for note in notes:
            level = logging.ERROR if note.alarm else logging.WARNING if note.warning else logging.INFO
            logger.log(level, "%s: %s", topic, note.text, extra={"order_id": note.order_id})
        notes.clear()

    @property
    def _senders(self) -> tuple[DeadlineTimer | RetentionTimer | StepFollower, ...]:
        """All that send records of their own, for partitions that this worker holds."""
        more = () if self.follower is None else (self.follower,)
        return (self.clock, self.retention, *more)

    def _stop_senders(self) -> None:
        for sender in self._senders:
            sender.stop()

    async def _keep_time(self, clock: DeadlineTimer | RetentionTimer | LateWrites | StepFollower) -> None:
        try:
            with self.store_manager.fatal_faults():
                await clock.run()
        except Exception as error:
            raise Fatal(Exit.ROUND_FAILED, f"{type(clock).__name__}: {error!r}") from error

    def _load_senders(self, partitions: Iterable[int]) -> None:
        for service in self.services:
            for partition in partitions:
                store = self.store_manager.stores[service.decider.journal, partition]
                if service.topic == topics.CHECKOUT:
                    self.clock.load(store)
                    self.retention.load(partition, store)
                elif self.follower is not None:
                    self.follower.load(topics.STEPS[service.topic].name, store)

    def _positions(self, committed: Mapping[Place, Offset | None]) -> dict[Place, InboxPosition]:
        inboxes = positions.ranges(Admin(self.settings), committed)
        journals = {service.topic: service.decider.journal for service in self.services}
        found = {}
        for place, at in committed.items():
            journal = journals[place[0]], place[1]
            store = self.store_manager.stores[journal]
            group = None if at is None else InboxPosition(at, self.commits.marks.get(place))
            disk = None if store.inbox is None else InboxPosition(store.inbox, store.mark)
            begin = positions.position(place, inboxes[place], group, disk, self.store_manager.newest(journal))
            found[place] = begin
            mark = InboxMark(inboxes[place].topic_id, begin.epoch)
            # Where the inbox was exchanged with the group's knowledge, the disk's offset is of the old one.
            behind = begin.at if store.inbox is not None and store.inbox > begin.at else None
            if mark != store.mark or behind is not None:
                store.read_from(mark, behind)
        return found
