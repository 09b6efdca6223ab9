"""When the faults have stopped: everything ends in a stated time (I11), and all accounts agree (I7, I8)."""

import json
from typing import TYPE_CHECKING, Final

from saga_app import topics
from saga_app.core.numbers import FIRST, NEVER
from saga_app.core.rows import OPEN_STATUSES, ClosedOrder, JournalRow
from saga_app.engine.commit_note import note_in
from saga_app.engine.stores import restore
from saga_app.engine.stores.extent import LogRange, Remedy, remedy
from saga_app.kafka.messages import Outgoing
from tests.simulation import steps
from tests.simulation.machine import WatchedDisk, WatchedStore
from tests.simulation.oracle import sent, told_outside
from tests.simulation.services import changelog
from tests.simulation.violation import must
from tests.simulation.worker import DISPATCH
from tests.support.memory import Disk, MemoryBroker, MemoryChangelog, MemoryStore, Steps

if TYPE_CHECKING:
    from tests.simulation.world import SimulatedWorld

#: After the last fault everything ends within so many milliseconds: one longest delay of a deadline, and some.
SOON: Final = 600_000
#: The same where providers are asked: what nobody knows about may rest for as long as the longest delay of a call, and
#: a payment that its customer never makes for as long as the order is patient, two hours at most.
SOON_OUTSIDE: Final = 1_800_000 + 7_200_000
#: In so many turns, in each of which every worker does all that it can.
MOST_TURNS: Final = 2_000
#: How long nothing happens before the clocks go on.
PAUSE: Final = 15_000


def calm(world: "SimulatedWorld") -> None:
    """No more faults: people send their last records, and everything must end."""
    world.tell("the faults stop")
    world.kafka.late.clear()
    for network in world.networks.values():
        network.late.clear()
    world.losing, world.group.loading = 0, False
    for worker in world.workers:
        worker.paused = worker.cut_off = False
        worker.steps.stop = None
    for machine in world.idle():
        world.start(machine)
    began, turns = world.now, 0
    while not (quiet(world) and ended(world)):
        turns += 1
        if not _turn(world):
            for record in world.resolutions():
                world.kafka.write(record)
            world.wait(PAUSE)
        must(
            world.now - began <= (SOON_OUTSIDE if world.networks else SOON) and turns <= MOST_TURNS,
            "I11 alive",
            f"after {(world.now - began) // 1000} s and {turns} turns without faults: {_unfinished(world)}",
        )
    agree(world)


def _turn(world: "SimulatedWorld") -> bool:
    """Everybody does all that can be done. True if anything happened."""
    world.now += 1
    happened = False
    if world.errands:
        happened = True
        for record in world.customers.do(world.errands.pop(0)):
            world.kafka.write(record)
    for worker in list(world.workers):
        worker.heartbeat()
        for name in (*steps.JOBS, *([DISPATCH] if world.networks else [])):
            happened |= steps.do(world, worker, name, 100)
    for machine in world.idle():
        world.start(machine)
    happened |= _providers_do_all(world)
    while world.kafka.sends:
        send = world.kafka.sends[0]
        world.deliver(send, next(iter(send.waiting)))
        happened = True
    if not happened:
        for worker in world.workers:
            happened |= steps.commit_of(world, worker)
    return happened


def _providers_do_all(world: "SimulatedWorld") -> bool:
    """Everything is answered, and everybody who is waited for goes on. True if anything happened."""
    pending = [(network, each) for network in world.networks.values() for each in network.pending]
    for network, each in pending:
        network.answer(each)
    waiting = world.waiting()
    for remote, thing in waiting:
        remote.decide(thing, well=True)
    return bool(pending or waiting)


def quiet(world: "SimulatedWorld") -> bool:
    """True if nothing moves, and every record of every inbox is decided and committed (lag 0)."""
    return (
        not world.errands
        and all(worker.settled for worker in world.workers)
        and world.group.members.keys() == {worker.name for worker in world.workers}
        and all(
            world.group.committed.get(place, 0) == len(world.kafka.inboxes[place])
            for place in world.watch.oracles
        )
    )


def ended(world: "SimulatedWorld") -> bool:
    sagas = world.watch.sagas
    return not (sagas.refunds.open or any(status in OPEN_STATUSES for status in sagas.status.values()))


def _unfinished(world: "SimulatedWorld") -> str:
    still = {order: status for order, status in world.watch.sagas.status.items() if status in OPEN_STATUSES}
    lag = {
        place: len(world.kafka.inboxes[place]) - world.group.committed.get(place, 0)
        for place in world.watch.oracles
    }
    return f"open {still}, lag { {place: count for place, count in lag.items() if count} }"


def agree(world: "SimulatedWorld") -> None:
    """The disks, the changelogs and the inboxes tell the same (I7); everything is accounted for (I8)."""
    watch, kafka = world.watch, world.kafka
    for machine in world.machines:
        for (table, partition), disk in machine.disks.items():
            follows = _follows(world, table, partition, disk)
            heir = _heir(kafka, table, partition, disk if follows else Disk())
            _same(f"the next owner on {machine.name}", table, partition, heir, world)
    after = kafka.copy()
    for worker in world.workers:
        for (table, partition), store in worker.stores.items():
            _same(f"{worker.name}'s disk", table, partition, store, world)
            _heir(after, table, partition, store.disk, repair=True)
            after.compact((changelog(table), partition))
            compacted = _heir(after, table, partition, Disk())
            _same("what its owner repaired and the broker compacted", table, partition, compacted, world)
    for topic in (topics.CHECKOUT, topics.PAYMENT, topics.SHIPPING):
        policies = {
            _rule(oracle.tables.policy()) for (inbox, _), oracle in watch.oracles.items() if inbox == topic
        }
        must(len(policies) == 1, "I7 one truth", f"partitions of {topic} have other rules: {policies}")
    _outcomes_agree(world)
    letters = {sent(record) for record in kafka.topic(topics.DEAD_LETTERS)}
    must(letters == watch.letters(), "I8 accounted for", f"dead letters {letters ^ watch.letters()}")
    placed = {
        told.key
        for (topic, _), oracle in watch.oracles.items()
        if topic == topics.CHECKOUT
        for told in oracle.told
        if told.record is not None and told.key is not None and ":" not in told.key and told.version >= 0
    }
    must(
        placed == set(watch.sagas.status), "I8 accounted for", f"placed {placed}, known {watch.sagas.status}"
    )


def _outcomes_agree(world: "SimulatedWorld") -> None:
    """The last outcome of each order in the table is its ending, and no other order has one (I14)."""
    newest: dict[str, Outgoing] = {}
    for record in world.kafka.topic(topics.ORDER_OUTCOMES):
        key = (record.key or b"").decode()
        if key not in newest or _version_told(record) >= _version_told(newest[key]):
            newest[key] = record
    told = {key: sent(record) for key, record in newest.items() if record.value is not None}
    expected = {
        order_id: ending
        for (topic, _), oracle in world.watch.oracles.items()
        if topic == topics.CHECKOUT
        for order_id, row in oracle.orders()
        if not isinstance(row, ClosedOrder) and (ending := told_outside(order_id, row)) is not None
    }
    must(told == expected, "I14 outcomes told", f"told {told}, and not {expected}")


def _version_told(record: Outgoing) -> int:
    """The version that an outcome, or the removal of one, names."""
    if record.value is None:
        return int(dict(record.headers)["saga-version"] or -1)
    return int(json.loads(record.value)["version"])


def _rule(policy: JournalRow | None) -> object:
    """The parameters, without the offsets, which each partition has for itself."""
    return None if policy is None else policy._replace(version=NEVER, done_at=None)


def _follows(world: "SimulatedWorld", table: str, partition: int, disk: WatchedDisk) -> bool:
    """True if the next owner with this disk would not empty it first."""
    kafka, place = world.kafka, (changelog(table), partition)
    note = note_in(world.group.notes.get((world.watch.topic_of(table), partition), ""))
    demand = None if note is None else note.tables[table]
    held = WatchedStore((table, partition), disk, kafka, Steps()).held
    return remedy(LogRange(kafka.topic_id(place), FIRST, kafka.end(place)), demand, held) is not Remedy.ANEW


def _heir(
    broker: MemoryBroker, table: str, partition: int, disk: Disk, *, repair: bool = False
) -> MemoryStore:
    """The table as its next owner with this disk would have it."""
    log, store = MemoryChangelog(broker, changelog(table), partition), MemoryStore(Disk(disk.states[-1:]))
    if repair:
        # A worker before was stopped before it repaired.
        restore.restore(log, log.end(), store)
    end = log.end()
    restored = restore.restore(log, end, store)
    records = restore.repair_records(log, restored) if repair else ()
    written = [MemoryBroker.append(broker, record) for record in records]
    restore.repaired(store, end, restored.repairs, written)
    return store


def _same(what: str, table: str, partition: int, store: MemoryStore, world: "SimulatedWorld") -> None:
    oracle = world.watch.oracles[world.watch.topic_of(table), partition]
    expected = oracle.bytes_of(table)
    must(
        store.rows == expected,
        "I7 one truth",
        f"{what} has in {table}[{partition}] {store.rows}, and must have {expected}",
    )
