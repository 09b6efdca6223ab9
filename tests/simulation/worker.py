"""One worker process: the engine's sequence of steps, without threads, over ports in memory.

Desk, lease, clock, round, restore and views are the real ones. What the engine does between them is done here in the
same sequence: the balances' ends first, then the journals'; repair; load the clock; begin; suspend; drain.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from saga_app import topics
from saga_app.core.errors import RowsMissing
from saga_app.core.records import Record
from saga_app.core.rows import Row
from saga_app.durable.clock import DeadlineClock
from saga_app.durable.desk import Desk
from saga_app.durable.engine import LONGEST_DRAIN
from saga_app.durable.lease import GivenUp, Lease
from saga_app.durable.leaving import Ages, LeavingClock
from saga_app.durable.ports import Batch, Offsets, Outgoing, Place
from saga_app.durable.round import MOST_WRITTEN, Point, Round
from saga_app.durable.view import View
from saga_app.settings import PROFILES
from saga_app.wire import Kept
from tests.simulation.group import Group
from tests.simulation.job import Job, Step
from tests.simulation.kafka import Kafka
from tests.simulation.machine import Machine, WatchedShelf
from tests.simulation.restoring import restored
from tests.simulation.services import FOLDS, JOURNALS, changelog, tables_of
from tests.simulation.tape import Draws
from tests.simulation.violation import Violation, must
from tests.support.memory import Steps, finish

TIMEOUTS: Final = PROFILES["cluster"]
CLOCK: Final = "deadline clock"
LEAVING: Final = "leaving clock"
#: Jobs that never end.
CLOCKS: Final = {CLOCK, LEAVING}
PREPARE: Final = "prepare"
#: A point at which a worker can be killed: what it appends has left, and is not yet written.
UNDER_WAY: Final = "under way"


class Around(Protocol):
    """What a worker needs of the world."""

    kafka: Kafka
    group: Group
    now: int
    ages: Ages
    width: int


class Worker:
    """A member of the group, until it ends."""

    def __init__(self, world: Around, name: str, machine: Machine) -> None:
        self.world = world
        self.name = name
        self.machine = machine
        self.steps = Steps()
        #: What becomes of what is under way when it is killed at a point.
        self.fate = Draws(0)
        self.paused = self.cut_off = False
        self.generation = self.joined_at = -1
        self.preparing = False
        #: Set while partitions are given up: rounds may finish, and none begins.
        self.draining = False
        self._drains_since = 0
        self.leaving = self._silent_too_long = False
        self.lease = Lease(TIMEOUTS.session, TIMEOUTS.delivery, lambda: self.world.now / 1000, poll=0)
        self.lease.follow(lambda: self.generation)
        self.desks = {topic: Desk(topic) for topic in FOLDS}
        self.views: dict[str, dict[int, View]] = {topic: {} for topic in FOLDS}
        self.shelves: dict[Place, WatchedShelf] = {}
        self.clock = DeadlineClock(self, lambda: self.world.now + machine.skew, tick=0)
        self._written = Kept[Record](MOST_WRITTEN)
        self.rounds = {topic: self._round(topic) for topic in FOLDS}
        kafka, ages, width = world.kafka, world.ages, world.width
        self.leaving_clock = LeavingClock(
            self, kafka.partitions, ages, lambda: self.world.now + machine.skew, tick=0, width=width
        )
        self.jobs: dict[str, Job] = {
            CLOCK: Job(self.clock.run()),
            LEAVING: Job(self.leaving_clock.run()),
        }
        self._next: dict[Place, int] = {}
        #: Batches between the reader's thread and the desk, and desks on which some lie.
        self._arriving: list[tuple[str, Batch]] = []
        self._laid: set[str] = set()

    @property
    def serves(self) -> bool:
        """Whether it has partitions and reads."""
        return self.generation >= 0 and not self.draining and not self.preparing and bool(self._next)

    @property
    def settled(self) -> bool:
        """Whether it is a member with nothing under way."""
        group = self.world.group
        stable = self.name in group.members and not group.rebalancing and self.generation == group.generation
        return stable and not self.draining and not self.preparing and set(self.jobs) == CLOCKS

    async def append(self, records: Sequence[Outgoing], generation: int) -> Offsets:
        """The log port; see `producer.KafkaLog`."""
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
        """What the consumer's thread does next; whether there was something to do."""
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
            self.generation = -1
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
        """Goes on with one job; whether it came any further."""
        job = self.jobs.get(name)
        if job is None or job.waits:
            return False
        try:
            if not job.step():
                return name == PREPARE or not job.polls
            del self.jobs[name]
        except GivenUp:
            del self.jobs[name]
        except RowsMissing as error:
            raise Violation("tripwire", f"{self.name}: {error}") from error
        return True

    def fetch(self, place: Place, most: int) -> bool:
        """The reader brings some records of a partition; whether there were any."""
        start = self._next.get(place)
        if start is None or not self.serves:
            return False
        messages = self.world.kafka.inboxes[place][start : start + most]
        if not messages:
            return False
        topic, partition = place
        end = self._next[place] = start + len(messages)
        self._arriving.append((topic, Batch(partition, start, end, self.generation, messages)))
        return True

    def arrive(self) -> bool:
        """A batch reaches its desk; whether there was one."""
        if not self._arriving:
            return False
        topic, batch = self._arriving.pop(0)
        before = self.desks[topic].is_current(batch.generation)
        self.desks[topic].deliver(batch)
        if before:
            self._laid.add(topic)
        return True

    def begin_round(self, topic: str) -> bool:
        """The agent takes what lies on its desk; whether it could."""
        if topic in self.jobs or topic not in self._laid:
            return False
        self._laid.discard(topic)
        batches = finish(self.desks[topic].take())
        self.jobs[topic] = Job(self.rounds[topic].run(batches))
        self.work(topic)
        return True

    def commit(self) -> bool:
        """Faust's timer; whether the group took it."""
        if self.generation < 0 or self.preparing or self.cut_off:
            return False
        return self.world.group.commit(self.name, self.generation, self.durable)

    @property
    def durable(self) -> dict[Place, int]:
        return {(topic, each): at for topic, desk in self.desks.items() for each, at in desk.durable.items()}

    def stop(self) -> None:
        """SIGTERM: gives up everything in peace."""
        self.leaving = True
        if not self.draining:
            self._suspend()

    @property
    def drains_too_long(self) -> bool:
        """Whether the engine would end the process because its rounds do not end."""
        return self.draining and self.world.now - self._drains_since > LONGEST_DRAIN * 1000

    def end(self) -> None:
        """The process is no more."""
        for job in self.jobs.values():
            job.drop()
        self.jobs.clear()

    def _suspend(self) -> None:
        """See `Engine.suspend`."""
        self.lease.give_up(max(self.generation, self.joined_at))
        self.draining = True
        self._drains_since = self.world.now
        self.preparing = False
        if PREPARE in self.jobs:
            self.jobs.pop(PREPARE).drop()
        self.clock.stop()
        self.leaving_clock.stop()
        self._next.clear()
        self._laid.clear()
        for desk in self.desks.values():
            desk.close()

    def _drain(self) -> bool:
        """Waits for its rounds, commits, and asks to be a member again."""
        clocks = (self.clock, self.leaving_clock)
        # As `rested` waits for them: one that waits for the lease is about to be given up.
        if any(topic in self.jobs for topic in FOLDS) or any(each._sending.locked() for each in clocks):
            return False
        group = self.world.group
        if self.generation >= 0:
            group.commit(self.name, self.generation, self.durable)
        for desk in self.desks.values():
            desk.durable = {}
        self.draining = False
        self.joined_at = -1
        if self.leaving:
            group.leave(self.name, self.world.now)
            return True
        group.join(self.name, self.world.now)
        self.joined_at = group.generation
        return True

    def _prepare(self, partitions: list[int], generation: int) -> None:
        self.generation = self.joined_at = generation
        self.preparing = True
        self.lease.take(generation)
        self.jobs[PREPARE] = Job(self._restore(partitions, generation))

    async def _restore(self, partitions: list[int], generation: int) -> None:
        """See `Engine.prepare` and `Engine.begin`."""
        self.shelves = await restored(
            self.world.kafka,
            self.machine,
            self.steps,
            partitions,
            lambda records: self.append(records, generation),
        )
        for topic, views in self.views.items():
            views.clear()
            fold = FOLDS[topic]
            for each in partitions:
                shelves = {table: self.shelves[table, each] for table in tables_of(topic)}
                views[each] = View(fold.journal, fold.balances, shelves)
        for each in partitions:
            self.clock.load(self.shelves[JOURNALS[0], each])
            self.leaving_clock.load(each, self.shelves[JOURNALS[0], each])
        await Step()
        self._begin(partitions, generation)

    def _begin(self, partitions: list[int], generation: int) -> None:
        for shelf in self.shelves.values():
            shelf.step = "shelf: write"
        self._next = {
            (topic, each): max(
                self.world.group.committed.get((topic, each), 0),
                self.shelves[FOLDS[topic].journal, each].inbox or 0,
            )
            for topic in FOLDS
            for each in partitions
        }
        for topic, desk in self.desks.items():
            desk.open({each: self._next[topic, each] for each in partitions}, generation)
        self.clock.start(generation)
        self.leaving_clock.start(generation)
        self.preparing = False

    def _round(self, topic: str) -> Round:
        fold = FOLDS[topic]
        return Round(
            topic,
            fold,
            self.world.kafka.partitions,
            changelog,
            inbox=self.desks[topic],
            journal=self,
            publisher=self,
            views=self.views[topic],
            written=self._written,
            passing=self._pass,
            **({"applied": self._applied} if topic == topics.CHECKOUT else {}),
        )

    def _pass(self, point: Point) -> None:
        self.steps.take(point)

    def _applied(self, partition: int, changes: Mapping[str, Row]) -> None:
        self.clock.changed(partition, changes)

    def _is_replaced(self) -> bool:
        """Whether the group has given this worker's partitions to a later generation."""
        return self.name not in self.world.group.members or self.world.group.generation > self.generation
