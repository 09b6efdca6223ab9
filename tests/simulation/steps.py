"""The steps that can come next: the work of workers, broker and people. Each is True if it did anything."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from tests.simulation.choices import Draws
from tests.simulation.kafka import Send
from tests.simulation.services import DECIDERS
from tests.simulation.worker import CLOCK, DISPATCH, PREPARE, RETENTION, SimulatedWorker

if TYPE_CHECKING:
    from tests.simulation.world import SimulatedWorld

T = TypeVar("T")
Action = Callable[["SimulatedWorld", Draws], bool]
SECOND: Final = 1000


def work(world: "SimulatedWorld", draws: Draws) -> bool:
    """Some worker does something."""
    awake = [worker for worker in world.workers if not worker.paused]
    if not awake:
        return False
    jobs = (*JOBS, DISPATCH) if world.networks else JOBS
    worker, first = draws.pick(awake), draws.below(len(jobs))
    size = 1 + draws.below(4)
    names = (*jobs[first:], *jobs[:first])
    return any(do(world, worker, name, size) for name in names)


JOBS: Final = (*DECIDERS, CLOCK, RETENTION, PREPARE, "membership")


def do(world: "SimulatedWorld", worker: SimulatedWorker, name: str, size: int) -> bool:
    """Goes on with one of a worker's jobs. True if it could. The worker may end from it."""
    return worker in world.workers and world.act(worker, lambda: _do(world, worker, name, size))


def _do(world: "SimulatedWorld", worker: SimulatedWorker, name: str, size: int) -> bool:
    if name == "membership":
        changed = worker.membership()
        if not changed:
            worker.heartbeat()
        elif worker.retention and not worker.draining:
            world.end(worker)
        if changed:
            world.tell("{} {}", worker.name, _standing(worker))
        return changed
    if name == DISPATCH:
        worked = worker.dispatch()
        if worked:
            world.tell("{} goes on with a call", worker.name)
        return worked
    if worker.work(name):
        world.tell("{} goes on with {}", worker.name, name)
        return True
    if name not in DECIDERS:
        return False
    if worker.begin_round(name):
        world.tell("{} begins a round of {}", worker.name, name)
        return True
    return worker.arrive() or any(worker.fetch((name, each), size) for each in range(world.partitions))


def _standing(worker: SimulatedWorker) -> str:
    if worker.draining:
        return "gives up its partitions"
    if worker.preparing:
        return f"restores, generation {worker.generation}"
    return "asks to be a member"


def deliver(world: "SimulatedWorld", draws: Draws) -> bool:
    """The broker writes to one place some of the records that are under way."""
    found = under_way(world.kafka.sends, draws)
    if found is None:
        return False
    send, place = found
    count = len(send.waiting[place])
    for _ in range(count - draws.below(count)):
        world.deliver(send, place)
    return True


def provider(world: "SimulatedWorld", draws: Draws) -> bool:
    """A provider executes a request and answers."""
    found = [(network, each) for network in world.networks.values() for each in network.pending]
    if not found:
        return False
    network, pending = draws.pick(found)
    network.answer(pending)
    answer = pending.response or pending.error
    world.tell("{} answers {} {}: {}", network.remote.name, pending.who, pending.request, answer)
    return True


def customer_at_a_provider(world: "SimulatedWorld", draws: Draws) -> bool:
    """A customer, a bank or a refund goes on."""
    waiting = world.waiting()
    if not waiting:
        return False
    remote, thing = draws.pick(waiting)
    remote.decide(thing, well=bool(draws.below(3)))
    world.tell("{} at {}: {}", thing, remote.name, remote.things[thing][0])
    return True


def customers(world: "SimulatedWorld", draws: Draws) -> bool:
    """Somebody sends something."""
    if not world.errands:
        return False
    for record in world.customers.do(world.errands.pop(0)):
        world.kafka.write(record)
        world.tell("people send {}", record)
    return True


def commit(world: "SimulatedWorld", draws: Draws) -> bool:
    """Faust's timer commits the durable offsets."""
    awake = [worker for worker in world.workers if not worker.paused]
    if not awake:
        return False
    return commit_of(world, draws.pick(awake))


def commit_of(world: "SimulatedWorld", worker: SimulatedWorker) -> bool:
    """Commits. True if something new was committed."""
    before = dict(world.group.committed)
    if not worker.commit() or before == world.group.committed:
        return False
    for place, at in worker.durable.items():
        world.watch.settles(place, at, "the committed offset")
    world.tell("{} commits", worker.name)
    return True


def wait(world: "SimulatedWorld", draws: Draws) -> bool:
    """Time passes: little while somebody gives up partitions, which may not take long, and much while nobody works."""
    awake = [worker for worker in world.workers if not worker.paused]
    seconds = draws.pick((1, 1, 3, 6))
    if not any(worker.serves or worker.preparing or worker.draining for worker in awake):
        seconds *= 10
    while seconds > 1 and not any(worker.draining for worker in awake):
        world.wait(min(5, seconds - 1) * SECOND)
        seconds -= 5
    world.wait(SECOND)
    return True


def start(world: "SimulatedWorld", draws: Draws) -> bool:
    """A machine without a worker gets one."""
    idle = world.idle()
    if not idle:
        return False
    world.start(draws.pick(idle))
    return True


def under_way(sends: Sequence[Send], draws: Draws) -> tuple[Send, tuple[str, int]] | None:
    if not sends:
        return None
    send = draws.pick(sends)
    return send, draws.pick(list(send.waiting))


NORMAL: Final[dict[str, Action]] = {
    "work": work,
    "deliver": deliver,
    "customers": customers,
    "provider": provider,
    "customer at a provider": customer_at_a_provider,
    "commit": commit,
    "wait": wait,
    "start": start,
}
