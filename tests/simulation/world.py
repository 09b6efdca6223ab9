"""One run: a scene, a storm of steps, then calm in which everything must end."""

import random
from collections import Counter
from collections.abc import Callable
from typing import Final

from saga_app.core import route
from saga_app.core.own_steps import OWN
from saga_app.core.records import Outcome, StepAnswered, StepName
from saga_app.core.rows import ASKED_STATES
from saga_app.effects import calls
from saga_app.effects.ports import Answer
from saga_app.engine.exits import Exit, Fatal
from saga_app.engine.retention import Ages
from saga_app.kafka.messages import Outgoing, Place, outgoing
from tests.simulation import ending, faults
from tests.simulation.adapters import ASK_PEOPLE, fact
from tests.simulation.choices import DRAW, SCENE, STEP, Choices, Draws
from tests.simulation.customers import AT_PROVIDERS, GOOD, ODD, ROUTES, Customers
from tests.simulation.fault_mix import fault_mix
from tests.simulation.group import SimulatedGroup
from tests.simulation.kafka import Kafka, Send
from tests.simulation.machine import Machine
from tests.simulation.remote import Network, ProviderRequest, ProviderResponse, Remote, ThingStatus
from tests.simulation.steps import NORMAL
from tests.simulation.violation import Violation, must
from tests.simulation.watch import SystemWatch
from tests.simulation.worker import TIMEOUTS, SimulatedWorker
from tests.support.given import BEGINNING
from tests.support.memory import Stopped

#: Milliseconds between two heartbeats at most.
BEAT: Final = 5_000


#: How a worker may end itself.
_ENDS: Final = {
    Exit.LEASE_LOST: "lease lost",
    Exit.ROWS_LOST: "rows lost",
    Exit.ROWS_MISSING_AGAIN: "rows missing",
}
NEVER: Final = Ages(None, None)
_OF_PROVIDERS: Final = random.Random("providers").getrandbits(SCENE * DRAW)
_OF_REFUNDS: Final = random.Random("refunds").getrandbits(SCENE * DRAW)
#: The first leaves the choices as they are.
_KEYS: Final = (0, *(random.Random(number).getrandbits(STEP * DRAW) for number in range(5)))
ACTIONS: Final = {**NORMAL, **faults.FAULTS}


class SimulatedWorld:
    """The simulated system: Kafka, group, machines, workers and people, and the trace of a run."""

    def __init__(
        self,
        choices: Choices,
        trace: Callable[[str], None] | None = None,
        only: frozenset[str] | None = None,
        *,
        providers: bool = False,
    ) -> None:
        scene = Draws(choices.scene)
        of_providers = Draws(choices.scene ^ _OF_PROVIDERS) if providers else None
        self.partitions = 1 + scene.below(3)
        of_refunds = Draws(choices.scene ^ _OF_REFUNDS)
        self.fault_mix = fault_mix(scene, frozenset(faults.FAULTS), only, of_providers, of_refunds)
        # Where records are lost, an order may wait for a compensation that a forged record makes a step ignore.
        away = {"forge"} if "lose" in self.fault_mix.faults else set()
        had = self.fault_mix.faults - away
        odd = [kind for name, kinds in ODD.items() if name in had for kind in kinds]
        odd += AT_PROVIDERS if providers else ()
        odd += ROUTES if OWN else ()
        self.customers = Customers(self.partitions, (*GOOD, *odd), "wrong partition" in self.fault_mix.faults)
        self.watch = SystemWatch(self.partitions, self.customers)
        self.customers.told = self.watch.sagas.status
        effects = self.watch.sagas.effects
        self.networks = (
            {name: Network(remote, self._may_ask) for name, remote in effects.remotes.items()}
            if providers
            else {}
        )
        self.customers.front_end = effects.remotes["intents"] if providers else None
        #: Milliseconds that have passed for providers and for those who ask them, and for nobody else.
        self.later = 0
        self.kafka = Kafka(self.partitions, self.watch, lambda: self.now)
        self.group = SimulatedGroup(
            self.partitions, int(TIMEOUTS.session * 1000), int(TIMEOUTS.rebalance * 1000)
        )
        skewed = "clock skew" in self.fault_mix.faults
        self.machines = [
            Machine(f"m{number}", (scene.below(7_201) - 3_600) * 1_000 * skewed)
            for number in range(1 + scene.below(3))
        ]
        evicts = "evict" in self.fault_mix.faults
        #: When orders are evicted and purged, and how many offsets are one segment.
        self.ages = Ages(scene.pick((0, 2_000, 20_000)), scene.pick((0, 5_000, None))) if evicts else NEVER
        self.segment_width = 1 + scene.below(4)
        self.now = BEGINNING
        self.workers: list[SimulatedWorker] = []
        self.errands = list(choices.customers)
        #: How many of the next records get lost.
        self.losing = 0
        self.verdicts: Counter[str] = Counter()
        #: How often each kind of step did something.
        self.bit: Counter[str] = Counter()
        self._choices = choices
        self._trace = trace
        self._started = 0
        self._opening = self.customers.opening(scene)

    def run(self) -> None:
        """Raises `Violation` when something that must be true is not."""
        try:
            for record in self._opening:
                self.kafka.write(record)
            for machine in self.machines:
                self.start(machine)
            self._storm()
            if "refund" in self.fault_mix.faults:
                self.customers.give_back()
            if self.ages.evict is not None or "refund" in self.fault_mix.faults:
                # Few orders end before the faults stop: so there are faults once more while the others are evicted,
                # and while orders that have completed are refunded.
                self.errands = list(self._choices.customers)
                self._storm()
        finally:
            for worker in list(self.workers):
                self.end(worker)

    def _storm(self) -> None:
        # A call takes many more steps than a step request: with providers, the steps are taken several times.
        for key in _KEYS if self.networks else _KEYS[:1]:
            for number in self._choices.steps:
                self._step(Draws(number ^ key))
        ending.calm(self)

    def tell(self, form: str, *parts: object) -> None:
        """A line of the trace."""
        if self._trace is not None:
            shown = [_spelled(part) if isinstance(part, Outgoing) else part for part in parts]
            self._trace(f"{(self.now - BEGINNING) / 1000:9.3f}  {form.format(*shown)}")

    def wait(self, milliseconds: int) -> None:
        """Time passes; whoever can sends heartbeats, and the group gives up on those who could not."""
        for start in range(0, milliseconds, BEAT):
            self.now += min(BEAT, milliseconds - start)
            self._beat()
        self.tell("{:g} s pass", milliseconds / 1000)

    def _beat(self) -> None:
        for worker in list(self.workers):
            worker.heartbeat()
            if self.group.rebalancing and not worker.paused and not worker.draining:
                worker.membership()
            if worker.drains_too_long and not worker.paused:
                self.kill(worker, Draws(0))
                self.bit["revoke too slow"] += 1
        if self.group.loading:
            self.group.loaded(self.now)
        for name in self.group.expire(self.now):
            self.tell("the group gives up on {}", name)
            self.bit["expired"] += 1

    def act(self, worker: SimulatedWorker, action: Callable[[], bool]) -> bool:
        """Lets a worker do something, from which it may end."""
        try:
            return action()
        except Stopped as stopped:
            self.tell("{} is killed at: {}", worker.name, stopped)
            self.kill(worker, worker.fate)
            self.bit["killed at a point"] += 1
        except Fatal as fatal:
            if fatal.exit not in _ENDS:
                raise Violation("a worker ended itself", f"{worker.name}: {fatal.text}") from fatal
            self.tell("{} ends itself: {}", worker.name, fatal.text)
            self.kill(worker, Draws(0))
            self.bit[_ENDS[fatal.exit]] += 1
            worker.machine.refused = fatal.exit is Exit.ROWS_LOST
            if fatal.exit is Exit.ROWS_MISSING_AGAIN or all(each.refused for each in self.machines):
                faults.rebuild(self, Draws(0))
        return True

    def start(self, machine: Machine) -> None:
        self._started += 1
        worker = SimulatedWorker(self, f"w{self._started}", machine)
        self.workers.append(worker)
        self.tell("{} starts on {}", worker.name, machine.name)

    def kill(self, worker: SimulatedWorker, draws: Draws) -> None:
        """Without a word to the group; of what is under way, a beginning is written in each place."""
        self.tell("{} is killed", worker.name)
        for send in [send for send in self.kafka.sends if send.who == worker.name]:
            for place, queue in list(send.waiting.items()):
                for _ in range(draws.below(1 + len(queue))):
                    self.deliver(send, place)
        self.end(worker)

    def deliver(self, send: Send, place: Place, how: str = "writes") -> None:
        """The next record of a send is written, or lost."""
        lost = self.losing > 0 and faults.can_be_lost(send.waiting[place][0])
        record = self.kafka.lose(send, place) if lost else self.kafka.deliver(send, place)
        if lost:
            self.losing -= 1
            self.bit["lose"] += 1
            how = "loses"
        self.tell("{} {} {}", send.who, how, record)

    def end(self, worker: SimulatedWorker) -> None:
        self._count(worker)
        worker.end()
        self.workers.remove(worker)
        self.kafka.abandon(worker.name, may_arrive="arrive late" in self.fault_mix.faults)

    def waiting(self) -> list[tuple[Remote, str]]:
        """The things that wait for a customer, a bank or a refund."""
        return [
            (network.remote, thing)
            for network in self.networks.values()
            for thing, (status, _, _) in network.remote.things.items()
            if status in (ThingStatus.WAITING, ThingStatus.UNDOING)
        ]

    def orphans(self, remote: Remote) -> list[str]:
        """The things that are in no row, where the row has another one."""
        known = {order_id: effect.reference for _, order_id, effect in self.watch.effects(remote.name)}
        return [
            thing
            for thing, (status, order_id, _) in remote.things.items()
            if status is ThingStatus.NEW and known.get(order_id) not in (None, thing)
        ]

    def told_by_itself(
        self, name: str, what: ProviderResponse, order_id: str, segment: str | None
    ) -> Outgoing | None:
        """An event of a provider, as a record."""
        placed = self.customers.orders.get(order_id)
        if placed is None:
            return None
        step = route.step(StepName.SHIPPING if name == "courier" else StepName.PAYMENT)
        answer = fact(what, later=step.name is StepName.PAYMENT and order_id in self.watch.sagas.later)
        return outgoing(
            StepAnswered(
                order_id=order_id,
                segment=segment,
                step=step.name,
                key=step.key(placed.order),
                outcome=answer.outcome,
                reference=answer.reference,
            )
        )

    def resolutions(self) -> list[Outgoing]:
        """Answers of people who looked at a provider, about effects whose keys it forgot before anybody knew."""
        found = []
        for name, network in self.networks.items():
            for row, order_id, effect in self.watch.effects(name):
                is_lost = effect.code == ASK_PEOPLE and row.state in ASKED_STATES
                if is_lost and not network.remote.of(order_id):
                    step = StepName.SHIPPING if name == "courier" else StepName.PAYMENT
                    call = calls.call("", step, row, self.now)
                    found.append(outgoing(calls.answered(call, Answer(Outcome.REFUSED, code="person"))))
        return found

    def _may_ask(self, who: str, request: ProviderRequest) -> None:
        must(
            self.watch.asks(request.order),
            "I9 durable first",
            f"{who} asks for {request} before a row that asks for it was written",
        )

    def idle(self) -> list[Machine]:
        busy = {worker.machine.name for worker in self.workers}
        return [machine for machine in self.machines if machine.name not in busy and not machine.refused]

    def mended(self) -> None:
        """A worker has written lost rows again: those that refused to begin may try once more."""
        for machine in self.machines:
            machine.refused = False

    def _count(self, worker: SimulatedWorker) -> None:
        for each in worker.rounds.values():
            self.verdicts.update(each.verdicts)

    def _step(self, draws: Draws) -> None:
        self.now += 1
        name = draws.pick(self.fault_mix.table)
        # Where there is nothing of this kind to do, something else is done.
        for each in (name, "deliver", "work", "customers", "wait"):
            if ACTIONS[each](self, draws):
                self.bit[each] += 1
                break


def _spelled(record: Outgoing) -> str:
    key, value = (record.key or b"").decode(errors="replace"), (record.value or b"-").decode(errors="replace")
    return f"{record.topic} {key} {value}"
