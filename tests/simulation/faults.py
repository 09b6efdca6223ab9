"""Faults that a step can inflict; `fault_mix` says which of them a seed has. Each is True if it did anything."""

from typing import TYPE_CHECKING, Final

from saga_app import topics
from saga_app.core.numbers import FIRST
from saga_app.core.row_keys import REBUILT_KEY
from saga_app.engine.commit_note import CommitNote
from saga_app.engine.stores.extent import Demand, Extent
from saga_app.kafka.messages import Outgoing, Place
from saga_app.rebuild.fold import fold_records
from saga_app.rebuild.write import rebuilt_records
from tests.simulation.adapters import LIFETIME, MARGIN
from tests.simulation.choices import Draws
from tests.simulation.remote import Network, PendingRequest, ProviderRequest
from tests.simulation.services import DECIDERS, JOURNALS, TABLES, changelog, tables_of
from tests.simulation.steps import SECOND, Action, under_way
from tests.simulation.worker import LOST, UNDER_WAY
from tests.support.memory import STEPS, MemoryStore, Stop

if TYPE_CHECKING:
    from tests.simulation.world import SimulatedWorld

#: Where a worker can be told to end.
_POINTS: Final = tuple(step for step in STEPS if ":" not in step or step.endswith("write"))
_LOSABLE: Final = (
    b'"DeadlinePassed"',
    b'"StepAnswered"',
    b'"OrderCompleted"',
    b'"OrderCancelled"',
    b'"RefundCompleted"',
    b'"RefundRefused"',
    b'"RepaymentRequested"',
    b'"RestockRequested"',
    b'"PaymentRequested"',
    b'"RefundRequested"',
    b'"ReservationRequested"',
    b'"ReleaseRequested"',
    b'"ShipmentRequested"',
    b'"ShipmentCancellationRequested"',
)


def long_wait(world: "SimulatedWorld", draws: Draws) -> bool:
    world.wait(draws.pick((31, 31, 46, 125, 600)) * SECOND)
    return True


def kill(world: "SimulatedWorld", draws: Draws) -> bool:
    """Now, or when it comes past a point."""
    if not world.workers:
        return False
    worker = draws.pick(world.workers)
    point = draws.pick((None, *[UNDER_WAY] * len(_POINTS), *_POINTS))
    if point is None:
        world.kill(worker, draws)
    else:
        worker.steps.stop = Stop(point, worker.steps.taken[point] + 1 + draws.below(2))
        worker.fate = draws
        world.tell("{} will be killed at: {}", worker.name, point)
    return True


def kill_disk_lost(world: "SimulatedWorld", draws: Draws) -> bool:
    if not world.workers:
        return False
    worker = draws.pick(world.workers)
    world.kill(worker, draws)
    worker.machine.lose()
    world.tell("the disk of {} is gone", worker.machine.name)
    return True


def kill_disk_behind(world: "SimulatedWorld", draws: Draws) -> bool:
    if not world.workers:
        return False
    worker = draws.pick(world.workers)
    world.kill(worker, draws)
    # The databases have no write-ahead log: each may have lost much or little.
    writes = (0, 1, 2, 100)
    worker.machine.lose_power({place: draws.pick(writes) for place in sorted(worker.machine.disks)})
    world.tell("the disk of {} has lost its last writes", worker.machine.name)
    return True


def stop(world: "SimulatedWorld", draws: Draws) -> bool:
    awake = [worker for worker in world.workers if not worker.paused and not worker.retention]
    if not awake:
        return False
    worker = draws.pick(awake)
    worker.stop()
    world.tell("{} is asked to stop", worker.name)
    return True


def pause(world: "SimulatedWorld", draws: Draws) -> bool:
    """Stands still, or wakes."""
    if not world.workers:
        return False
    worker = draws.pick(world.workers)
    worker.paused = not worker.paused
    world.tell("{} {}", worker.name, "stands still" if worker.paused else "wakes")
    if worker.paused and draws.below(2):
        world.wait(61 * SECOND)
    return True


def cut_off(world: "SimulatedWorld", draws: Draws) -> bool:
    if not world.workers:
        return False
    worker = draws.pick(world.workers)
    worker.cut_off = not worker.cut_off
    world.tell("{}'s heartbeats {}", worker.name, "are lost" if worker.cut_off else "arrive again")
    return True


def loading(world: "SimulatedWorld", draws: Draws) -> bool:
    world.group.loading = True
    world.tell("the group's coordinator loads")
    return True


def arrive_late(world: "SimulatedWorld", draws: Draws) -> bool:
    """Only rows and records that had left before their worker ended."""
    found = under_way(world.kafka.late, draws)
    if found is None:
        return False
    send, place = found
    for _ in range(1 + draws.below(len(send.waiting[place]))):
        world.deliver(send, place, how="writes late")
    return True


def lose(world: "SimulatedWorld", draws: Draws) -> bool:
    """The next step request, ending or nudge that is written gets lost."""
    world.losing += 1
    return False


def repeat(world: "SimulatedWorld", draws: Draws) -> bool:
    """One of the last records of an inbox is there again."""
    place = draws.pick(topics.INBOXES), draws.below(world.partitions)
    log = world.kafka.logs[place]
    if not log:
        return False
    record = log[-1 - draws.below(min(6, len(log)))]
    world.kafka.write(record._replace(partition=place[1]))
    world.tell("again: {}", record)
    return True


def repeat_row(world: "SimulatedWorld", draws: Draws) -> bool:
    place = changelog(draws.pick(TABLES)), draws.below(world.partitions)
    log = world.kafka.logs[place]
    if not log:
        return False
    row = log[-1 - draws.below(min(3, len(log)))]
    if row.key == REBUILT_KEY or place in world.kafka.without_producer:
        return False
    world.kafka.append(row)
    world.tell("again: {}", row)
    return True


def compact(world: "SimulatedWorld", draws: Draws) -> bool:
    """Only below what an owner has repaired: the changelogs' lag is longer than that takes."""
    removed = 0
    for place, repaired in world.kafka.repaired.items():
        removed += world.kafka.compact(place, repaired - draws.below(2) if repaired else 0)
    if removed:
        world.tell("compaction removes {} rows", removed)
    return bool(removed)


def expire_offset(world: "SimulatedWorld", draws: Draws) -> bool:
    place = draws.pick(topics.INBOXES), draws.below(world.partitions)
    # Without the note, only the disks know what was lost; they may be gone too (`docs/decisions/0024-lost-rows.md`).
    # Nor can a disk tell a changelog that was rebuilt from one that was lost.
    if world.fault_mix.faults & {*LOST, "rebuild"} or world.group.committed.pop(place, None) is None:
        return False
    del world.group.notes[place]
    world.tell("the committed offset of {} expires", place)
    return True


def rebuild(world: "SimulatedWorld", draws: Draws) -> bool:
    """As `saga rebuild --from-inboxes` does it, up to the offsets that are committed; the rest is decided again."""
    for worker in list(world.workers):
        world.kill(worker, draws)
    for machine in world.machines:
        machine.refused = False
    for (topic, partition), messages in sorted(world.kafka.inboxes.items()):
        end = world.group.committed.get((topic, partition), FIRST)
        demands = {}
        stores = {table: MemoryStore() for table in tables_of(topic)}
        fold_records((topic, partition), world.partitions, stores, messages[:end], FIRST, end)
        for table, store in stores.items():
            log = changelog(table)
            rows = sorted(store.rows.items())
            marked = table in JOURNALS
            place = log, partition
            world.kafka.make_anew(place, rebuilt_records(rows, log, partition, marked=marked))
            demands[table] = Demand(Extent(world.kafka.topic_id(place), FIRST, world.kafka.end(place)))
        world.group.put({(topic, partition): (end, CommitNote(None, demands).encode())})
    world.tell("the changelogs are made anew from the inboxes")
    return True


def changelog_cut(world: "SimulatedWorld", draws: Draws) -> bool:
    """The broker of a changelog partition loses power, and its last rows."""
    place = _beside_a_note(world, draws)
    end = len(world.kafka.logs[place]) if place else 0
    if not place or not end:
        return False
    rows = 1 + draws.below(min(end, draws.pick((2, 6, 100))))
    world.kafka.cut(place, end - rows)
    world.tell("{} loses its last {} rows", place, rows)
    return True


def changelog_lost(world: "SimulatedWorld", draws: Draws) -> bool:
    """Somebody deletes a changelog, and it is made again."""
    place = _beside_a_note(world, draws)
    if not place:
        return False
    world.kafka.make_anew(place, ())
    world.tell("{} is deleted and made again", place)
    return True


def _beside_a_note(world: "SimulatedWorld", draws: Draws) -> Place | None:
    """A changelog partition of which the group knows how far it reaches; all workers are killed."""
    noted = sorted(world.group.notes)
    if not noted:
        return None
    for worker in list(world.workers):
        world.kill(worker, draws)
    topic, partition = draws.pick(noted)
    return changelog(draws.pick(tables_of(topic))), partition


def time_out(world: "SimulatedWorld", draws: Draws) -> bool:
    """Lost on the way there; or on the way back; or on its way still."""
    found = _pending(world, draws)
    if found is None:
        return False
    network, pending = found
    how = draws.pick(("there", "back", "late"))
    world.tell("{} of {} times out: {}", pending.request, pending.who, how)
    if how == "back":
        network.answer(pending, lost=True)
    else:
        network.give_up(pending, arrives=how == "late")
    return True


def server_error(world: "SimulatedWorld", draws: Draws) -> bool:
    found = _pending(world, draws)
    if found is None:
        return False
    network, pending = found
    saved, after = bool(draws.below(2)), bool(draws.below(2))
    network.fail(pending, saved=saved, after=after)
    world.tell("{} of {}: server error, saved {}, after {}", pending.request, pending.who, saved, after)
    return True


def arrive_at_a_provider(world: "SimulatedWorld", draws: Draws) -> bool:
    late = [(network, request) for network in world.networks.values() for request in network.late]
    if not late:
        return False
    network, request = draws.pick(late)
    world.tell("late at {}: {}", network.remote.name, request)
    network.arrive(request)
    return True


def webhook(world: "SimulatedWorld", draws: Draws) -> bool:
    """A provider tells what it knew once. Somebody may tidy up what nobody asks for any more."""
    for network in world.networks.values():
        if orphans := world.orphans(network.remote):
            network.remote.execute(ProviderRequest("cancel", "", draws.pick(orphans)))
    events = [(network, event) for network in world.networks.values() for event in network.remote.events]
    if not events:
        return False
    network, event = draws.pick(events)
    if draws.below(2):
        network.remote.events.remove(event)
    record = world.told_by_itself(network.remote.name, *event)
    if record is None:
        return False
    world.kafka.write(record)
    world.tell("{} says by itself {}", network.remote.name, record)
    return True


def a_day(world: "SimulatedWorld", draws: Draws) -> bool:
    world.later += LIFETIME + MARGIN
    for network in world.networks.values():
        network.remote.forget()
        if network.remote.name != "intents":
            # Where keys are the only guard, a request that is held back for longer than they last would be done twice.
            for pending in list(network.pending):
                network.give_up(pending, arrives=False)
            network.late.clear()
    world.tell("a day passes for the providers")
    return True


def _pending(world: "SimulatedWorld", draws: Draws) -> tuple[Network, PendingRequest] | None:
    found = [(network, each) for network in world.networks.values() for each in network.pending]
    return draws.pick(found) if found else None


def can_be_lost(record: Outgoing) -> bool:
    """True for step requests, endings and nudges. Records of people, rows and dead letters would never come again."""
    return record.topic in DECIDERS and any(each in (record.value or b"")[:60] for each in _LOSABLE)


FAULTS: Final[dict[str, Action]] = {
    "kill": kill,
    "kill, disk lost": kill_disk_lost,
    "kill, disk behind": kill_disk_behind,
    "stop": stop,
    "pause": pause,
    "cut off": cut_off,
    "loading": loading,
    "arrive late": arrive_late,
    "lose": lose,
    "repeat": repeat,
    "repeat row": repeat_row,
    "compact": compact,
    "offset expires": expire_offset,
    "long wait": long_wait,
    "rebuild": rebuild,
    "changelog cut": changelog_cut,
    "changelog lost": changelog_lost,
    "time out": time_out,
    "server error": server_error,
    "arrive at a provider": arrive_at_a_provider,
    "webhook": webhook,
    "a day": a_day,
}
