"""One worker process: the engine's sequence of steps, without threads, over ports in memory.

Agents, assignment, inbox buffer, lease, timers, round, restore and partition states are the real ones. The work of the
engine between them is done here in the same sequence: the balances' ends first, then the journals'; repair; load the
timers; begin; suspend; drain.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from saga_app import topics
from saga_app.core.errors import RowsMissing
from saga_app.core.numbers import FIRST, Generation, Offset
from saga_app.core.records import Record
from saga_app.core.rows import Row
from saga_app.effects.dispatcher import Dispatcher
from saga_app.engine.assignment import Assignment
from saga_app.engine.commits import GroupCommits
from saga_app.engine.deadlines import DeadlineTimer
from saga_app.engine.durability import Point
from saga_app.engine.engine import LONGEST_DRAIN
from saga_app.engine.exits import Exit, Fatal
from saga_app.engine.inbox_buffer import InboxBuffer
from saga_app.engine.lease import Lease
from saga_app.engine.partition_state import PartitionState
from saga_app.engine.ports import Batches, GivenUp
from saga_app.engine.retention import Ages, RetentionTimer
from saga_app.engine.round import MOST_WRITTEN, Round
from saga_app.engine.stores.manager import Superseded
from saga_app.kafka.messages import Batch, Fetch, Offsets, Outgoing, Place
from saga_app.timeouts import PROFILES
from saga_app.wire import BoundedCache, Decoder
from tests.simulation.adapters import ADAPTERS
from tests.simulation.choices import Draws
from tests.simulation.group import SimulatedGroup
from tests.simulation.job import Job, StopPoint
from tests.simulation.kafka import Kafka
from tests.simulation.machine import Machine, WatchedStore
from tests.simulation.remote import Network, PendingRequest, ProviderRequest
from tests.simulation.restoring import MachineStores
from tests.simulation.services import AGENTS, DECIDERS, JOURNALS, SERVICES, changelog, tables_of
from tests.simulation.violation import Violation, must
from tests.support.memory import Steps, finish

TIMEOUTS: Final = PROFILES["cluster"]
CLOCK: Final = "deadline timer"
RETENTION: Final = "retention timer"
#: Jobs that never end.
CLOCKS: Final = {CLOCK, RETENTION}
PREPARE: Final = "prepare"
#: Calls of providers; there may be several.
DISPATCH: Final = "dispatcher"
#: Faults after which rows may be missing that no commit has noted: balances whose journal lost its rows.
LOST: Final = frozenset({"changelog cut", "changelog lost"})
#: A point at which a worker can be killed: what it appends has left, and is not yet written.
UNDER_WAY: Final = "under way"


class Around(Protocol):
    """The parts of the world that a worker needs."""

    kafka: Kafka
    group: SimulatedGroup
    now: int
    ages: Ages
    segment_width: int
    bit: Counter[str]
    networks: dict[str, Network]
    later: int

    def mended(self) -> None: ...


class SimulatedWorker:
    """A member of the group, until it ends."""

    def __init__(self, world: Around, name: str, machine: Machine) -> None:
        self.world = world
        self.name = name
        self.machine = machine
        self.steps = Steps()
        #: What becomes of what is under way when it is killed at a point.
        self.fate = Draws(0)
        self.paused = self.cut_off = False
        self.generation = self.joined_at = Generation(-1)
        self.assignment = Assignment()
        #: Set while partitions are given up: rounds may finish, and none begins.
        self.draining = False
        self._drains_since = 0
        self.retention = self._silent_too_long = False
        self.lease = Lease(
            TIMEOUTS.session, TIMEOUTS.delivery, self.assignment, lambda: self.world.now / 1000, poll=0
        )
        self.lease.follow(lambda: self.generation)
        self.buffers = {topic: InboxBuffer(topic, self.assignment) for topic in DECIDERS}
        self.states: dict[str, dict[int, PartitionState]] = {topic: {} for topic in DECIDERS}
        self.store_manager = MachineStores(world.kafka, machine, self.steps)
        self.commits = GroupCommits(SERVICES, self.store_manager, self.states, retry=0)
        self.commits.send = self._announced
        self.clock = DeadlineTimer(self, lambda: self.world.now + machine.skew, tick=0)
        self._written = BoundedCache[Record](MOST_WRITTEN)
        self._decoder = Decoder()
        self.rounds = {topic: self._round(topic) for topic in DECIDERS}
        kafka, ages, width = world.kafka, world.ages, world.segment_width
        self.retention_timer = RetentionTimer(
            self, kafka.partitions, ages, lambda: self.world.now + machine.skew, tick=0, segment_width=width
        )
        self.dispatcher = Dispatcher(
            self,
            {name: ADAPTERS[name](self._asking(network)) for name, network in world.networks.items()},
            "saga",
            lambda: self.world.now + self.world.later + machine.skew,
            most_calls=3,
        )
        #: Calls of providers that are under way.
        self.calls: list[Job] = []
        self.jobs: dict[str, Job] = {
            CLOCK: Job(self.clock.run()),
            RETENTION: Job(self.retention_timer.run()),
        }
        self._next: dict[Place, Offset] = {}
        #: Batches between the reader's thread and the inbox buffer, and inbox buffers on which some lie.
        self._arriving: list[tuple[str, Batch]] = []
        self._laid: set[str] = set()

    @property
    def stores(self) -> Mapping[Place, WatchedStore]:
        return self.store_manager.stores  # type: ignore[return-value]

    @property
    def preparing(self) -> bool:
        """True if it restores its partitions."""
        return self.assignment.preparing is not None

    @property
    def serves(self) -> bool:
        """True if it has partitions and reads."""
        return self.generation >= 0 and not self.draining and not self.preparing and bool(self._next)

    @property
    def settled(self) -> bool:
        """True if it is a member with nothing under way."""
        group = self.world.group
        stable = self.name in group.members and not group.rebalancing and self.generation == group.generation
        busy = self.draining or self.preparing or bool(self.calls)
        return stable and not busy and set(self.jobs) == CLOCKS

    async def append(self, records: Sequence[Outgoing], generation: Generation) -> Offsets:
        """The log port; see `log.KafkaLog`."""
        await self.lease.hold(generation)
        must(
            generation == self.world.group.generation or not self._is_replaced(),
            "I9 one writer",
            f"{self.name} of generation {generation} sends in generation {self.world.group.generation}",
        )
        if not records:
            return {}
        send = self.world.kafka.send(self.name, records)
        self.steps.take(UNDER_WAY)
        return await send

    def heartbeat(self) -> None:
        """Asks the group; only an answer without error renews the lease."""
        if self.paused or self.cut_off:
            return
        if self.world.group.heartbeat(self.name, self.generation, self.world.now):
            self._silent_too_long |= not self.lease.renew(self.generation, self.world.now / 1000)

    def membership(self) -> bool:
        """The next step of the consumer's thread. True if there was something to do."""
        group = self.world.group
        if self.cut_off or group.loading:
            return False
        if self.draining:
            return self._drain()
        if self._silent_too_long:
            self._silent_too_long = False
            self._suspend()
            return True
        member = self.name in group.members
        if self.joined_at >= 0 and not member:
            # Told that it is none any more: its generation is void before anything is given up.
            if self.generation < 0:
                self._suspend()
            self.generation = Generation(-1)
            return True
        if not member:
            group.join(self.name, self.world.now)
            self.joined_at = group.generation
            return True
        if group.rebalancing:
            if group.joined(self.name):
                return False
            self._suspend()
            return True
        if self.generation != group.generation and not self.preparing:
            self._prepare(group.assignment[self.name], group.generation)
            return True
        return False

    def work(self, name: str) -> bool:
        """Goes on with one job. True if it came any further."""
        job = self.jobs.get(name)
        if job is None or job.waits:
            return False
        try:
            if not job.step():
                return name == PREPARE or not job.polls
            del self.jobs[name]
        except (GivenUp, Superseded):
            del self.jobs[name]
        except RowsMissing as error:
            if LOST & set(self.world.bit):
                raise Fatal(Exit.ROWS_MISSING_AGAIN, str(error)) from error
            raise Violation("tripwire", f"{self.name}: {error}") from error
        return True

    def dispatch(self) -> bool:
        """Goes on with one call, or makes one that is due. True if there was anything to do."""
        for job in list(self.calls):
            if job.waits:
                continue
            try:
                over = job.step()
            except GivenUp:
                over = True
            if over:
                self.calls.remove(job)
            if over or not job.polls:
                return True
        if not self.serves:
            return False
        effect = next(self.dispatcher.take(), None)
        if effect is None:
            return False
        self.calls.append(Job(self.dispatcher.make(effect)))
        return True

    def _asking(self, network: Network) -> Callable[[ProviderRequest], PendingRequest]:
        return lambda request: network.send(self.name, request)

    def fetch(self, place: Place, most: int) -> bool:
        """The reader brings some records of a partition. True if there were any."""
        start = self._next.get(place)
        if start is None or not self.serves:
            return False
        messages = self.world.kafka.inboxes[place][start : start + most]
        if not messages:
            return False
        topic, partition = place
        end = self._next[place] = Offset(start + len(messages))
        self._arriving.append((topic, Batch(partition, start, end, self.generation, messages)))
        return True

    def arrive(self) -> bool:
        """A batch reaches its inbox buffer. True if there was one."""
        if not self._arriving:
            return False
        topic, batch = self._arriving.pop(0)
        before = self.buffers[topic].is_current(batch.generation)
        self.buffers[topic].deliver(batch)
        if before:
            self._laid.add(topic)
        return True

    def begin_round(self, topic: str) -> bool:
        """The agent takes the batches of its inbox buffer, decides and forwards them. True if it could begin."""
        if topic in self.jobs or topic not in self._laid:
            return False
        self._laid.discard(topic)
        self.jobs[topic] = Job(
            AGENTS[topic].listen(_once(finish(anext(self.buffers[topic]))), self.rounds[topic])
        )
        self.work(topic)
        return True

    def commit(self) -> bool:
        """Faust's timer commits. True if the group took it."""
        if self.generation < 0 or self.preparing or self.cut_off:
            return False
        return self.world.group.commit(self.name, self.generation, self._noted())

    @property
    def durable(self) -> dict[Place, Offset]:
        return {
            (topic, each): at for topic, buffer in self.buffers.items() for each, at in buffer.durable.items()
        }

    def _noted(self) -> dict[Place, tuple[Offset, str]]:
        return {place: (at, self.commits.note(place)) for place, at in self.durable.items()}

    async def _announced(self, commits: Mapping[Place, tuple[Offset, str]]) -> bool:
        await StopPoint()
        return self.world.group.commit(self.name, self.generation, commits)

    def stop(self) -> None:
        """SIGTERM: gives up everything in peace."""
        self.retention = True
        if not self.draining:
            self._suspend()

    @property
    def drains_too_long(self) -> bool:
        """True if the engine would end the process because its rounds do not end."""
        return self.draining and self.world.now - self._drains_since > LONGEST_DRAIN * 1000

    def end(self) -> None:
        """The process is no more."""
        for job in self.jobs.values():
            job.drop()
        self.jobs.clear()
        self._drop_calls(lambda job: True)

    def _drop_calls(self, which: Callable[[Job], bool]) -> None:
        for job in [job for job in self.calls if which(job)]:
            job.drop()
            self.calls.remove(job)
        for network in self.world.networks.values():
            network.abandon(self.name)

    def _suspend(self) -> None:
        """See `Engine.suspend`."""
        self.assignment.give_up()
        self.draining = True
        self._drains_since = self.world.now
        if PREPARE in self.jobs:
            self.jobs.pop(PREPARE).drop()
        self.clock.stop()
        self.retention_timer.stop()
        self.dispatcher.stop()
        # As `stop` cancels tasks: an answer that is being written down may arrive.
        self._drop_calls(lambda job: not job.sends)
        self._next.clear()
        self._laid.clear()
        for buffer in self.buffers.values():
            buffer.close()

    def _drain(self) -> bool:
        """Waits for its rounds, commits, and asks to be a member again."""
        clocks = (self.clock, self.retention_timer)
        # As `rested` waits for them: one that waits for the lease is about to be given up.
        if any(topic in self.jobs for topic in DECIDERS) or any(each._sending.locked() for each in clocks):
            return False
        if any(job.sends for job in self.calls):
            return False
        group = self.world.group
        if self.generation >= 0:
            group.commit(self.name, self.generation, self._noted())
        for buffer in self.buffers.values():
            buffer.durable = {}
        self.draining = False
        self.joined_at = Generation(-1)
        if self.retention:
            group.leave(self.name, self.world.now)
            return True
        group.join(self.name, self.world.now)
        self.joined_at = group.generation
        return True

    def _prepare(self, partitions: list[int], generation: Generation) -> None:
        self.generation = self.joined_at = generation
        self.assignment.assign(generation, partitions)
        self.lease.take(generation)
        self.jobs[PREPARE] = Job(self._restore(partitions, generation))

    async def _restore(self, partitions: list[int], generation: Generation) -> None:
        """See `Engine.prepare` and `Engine.begin`."""
        group, kafka = self.world.group, self.world.kafka
        self.commits.learn(
            {
                (topic, each): (at, group.notes[topic, each])
                for (topic, each), at in group.committed.items()
                if each in partitions
            }
        )
        found = await self.store_manager.restored(partitions)
        await self.commits.repair(found, self, generation, lambda: self.assignment.preparing == generation)
        if any(read.is_lost for read in found.values()):
            self.world.mended()
        kafka.without_producer -= {(changelog(table), each) for table, each in found}
        kafka.repaired |= {
            (changelog(table), each): read.changelog.end() for (table, each), read in found.items()
        }
        for topic, states in self.states.items():
            states.clear()
            decider = DECIDERS[topic]
            for each in partitions:
                stores = {table: self.stores[table, each] for table in tables_of(topic)}
                states[each] = PartitionState(decider.journal, decider.balances, stores)
        self.dispatcher.stop()
        for each in partitions:
            self.clock.load(self.stores[JOURNALS[0], each])
            self.retention_timer.load(each, self.stores[JOURNALS[0], each])
            for topic, step in topics.STEPS.items():
                self.dispatcher.load(step.name, self.stores[DECIDERS[topic].journal, each])
        await StopPoint()
        self._begin(partitions, generation)

    def _begin(self, partitions: list[int], generation: Generation) -> None:
        for store in self.stores.values():
            store.step = "store: write"
        self._next = {
            (topic, each): self.world.group.committed.get(
                (topic, each), self.stores[DECIDERS[topic].journal, each].inbox or FIRST
            )
            for topic in DECIDERS
            for each in partitions
        }
        for place, at in self._next.items():
            kafka = self.world.kafka
            newest = {table: kafka.newest((changelog(table), place[1])) for table in tables_of(place[0])}
            kafka.watch.has_all(place, at, newest)
        assert self.assignment.hold(generation)
        for topic, buffer in self.buffers.items():
            buffer.open({each: self._next[topic, each] for each in partitions})
        self.clock.start(generation)
        self.retention_timer.start(generation)
        self.dispatcher.start(generation)

    def _round(self, topic: str) -> Round:
        decider = DECIDERS[topic]
        return Round(
            topic,
            decider,
            self.world.kafka.partitions,
            changelog,
            inbox=self.buffers[topic],
            journal=self,
            publisher=self,
            states=self.states[topic],
            written=self._written,
            decoder=self._decoder,
            passing=self._pass,
            applied=lambda partition, changes: self._applied(topic, partition, changes),
        )

    def _pass(self, point: Point) -> None:
        self.steps.take(point)

    def _applied(self, topic: str, partition: int, changes: Mapping[str, Row]) -> None:
        if topic == topics.CHECKOUT:
            self.clock.changed(partition, changes)
        else:
            self.dispatcher.changed(topics.STEPS[topic].name, changes)

    def _is_replaced(self) -> bool:
        """True if the group has given this worker's partitions to a later generation."""
        return self.name not in self.world.group.members or self.world.group.generation > self.generation


async def _once(batches: Fetch) -> Batches:
    """An inbox that ends after this: where an agent waits for more, the simulator has nothing to step."""
    yield batches
