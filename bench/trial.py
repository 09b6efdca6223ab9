"""One life of one candidate: fresh topics, a warm-up, each part of the measurement, and a count of compensations."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bench import load, measures
from bench.candidates import Candidate, Launch
from bench.environments import HOME
from bench.load import LoadRecord, OrderLoad
from bench.measures import Moment, Used
from bench.peers.place import Place
from bench.process import Process, ProcessFailed
from bench.quiet import QuietGate
from bench.stats import percentile
from bench.verdict import Wrong, compensated, judge
from bench.watch import CheckoutWatch, SeenOrders, TooSlow, compensations
from harness.ledger import TopicLedger
from harness.scene import clear
from harness.shop import Shop
from saga_app import topics
from saga_app.kafka import topic_admin
from saga_app.local.broker import Broker
from saga_app.settings import Settings

#: Seconds until the first orders of a candidate must have ended, and any others.
FIRST_WITHIN: Final = 120.0
ENDED_WITHIN: Final = 240.0
#: Latency is not measured above this share of what the candidate can do: it would be the length of the queue.
MOST_OF_CAPACITY: Final = 0.8


@dataclass(frozen=True)
class TrialPlan:
    """The sizes of a trial: orders of a backlog, rates a second and seconds of each rate.

    `baskets` and `flash` are the orders of two more backlogs, of real baskets and of a flash sale; 0 is none.
    """

    orders: int = 20_000
    baskets: int = 4_000
    flash: int = 0
    warm_up: int = 10_000
    rates: tuple[int, ...] = (50, 200, 800, 1_800)
    half: bool = True
    seconds: float = 5.0
    warehouses: int = 1


@dataclass
class Trial:
    """The figures of a candidate in one round, by part; `wrong` is its first error."""

    candidate: str
    round: int
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)
    memory_mb: float = 0.0
    compensations: int = 0
    repeats: int = 0
    wrong: str = ""


class Course:
    """The orders of all candidates of a run, made once; slow candidates get a tenth of them."""

    def __init__(self, plan: TrialPlan, slow: bool) -> None:
        share = 10 if slow else 1
        self.plan = plan
        self.supplies = load.supplies(plan.warehouses)
        self.warm_up = self._mix(plan.warm_up // share, "warm")
        self.backlog = self._mix(plan.orders // share, "backlog")
        self.baskets = load.baskets(plan.baskets // share) if plan.baskets else None
        self.flash = load.flash_sale(plan.flash // share, "flash", plan.warehouses) if plan.flash else None

    def paced(self, rate: int) -> OrderLoad:
        """Orders for one rate; their ids are those of the rate, which is measured once in a life."""
        return self._mix(max(30, round(rate * self.plan.seconds)), f"rate{rate}")

    def _mix(self, count: int, prefix: str) -> OrderLoad:
        return load.mix(count, prefix, self.plan.warehouses)


class CandidateRun:
    """A candidate that runs."""

    def __init__(
        self,
        candidate: Candidate,
        launch: Callable[[Place], Launch],
        broker: Broker,
        name: str,
        gate: QuietGate,
    ) -> None:
        self.candidate = candidate
        self.name = name
        self._gate = gate
        self.broker = broker
        self.endings: list[dict[str, int]] = []
        #: The orders of the last run.
        self.seen: SeenOrders | None = None
        self.repeats = 0
        clear(broker.address)
        folder = HOME / "data" / name
        shutil.rmtree(folder, ignore_errors=True)
        topic_admin.ensure(
            Settings(broker=broker.address, app_id=name),
            topics.wanted(name, candidate.tables, topics.DEFAULT_PARTITIONS),
        )
        self._shop = Shop(broker.address)
        self._processes: list[Process] = []
        for number in range(1, candidate.workers + 1):
            data = folder / f"worker-{number}"
            data.mkdir(parents=True)
            place = Place(broker.address, name, str(data), topics.DEFAULT_PARTITIONS)
            self._processes.append(Process(launch(place), folder / f"worker-{number}.log"))

    @property
    def pids(self) -> list[int]:
        """Its processes."""
        return [process.pid for process in self._processes]

    def ready(self) -> None:
        """Waits until it has its partitions, if it says so."""
        for process in self._processes:
            if self.candidate.ready:
                process.wait_for(self.candidate.ready, FIRST_WITHIN)

    def warm_up(self, supplies: Sequence[LoadRecord], orders: OrderLoad) -> None:
        """Until it has shown that it works, and a JVM has compiled what is hot."""
        self.ready()
        self.supply(supplies)
        self.run(orders, within=FIRST_WITHIN)

    def run(self, orders: OrderLoad, rate: float = 0.0, within: float = ENDED_WITHIN) -> dict[str, Any]:
        """Places these orders and waits for their ends. Raises Wrong, TooSlow or ProcessFailed."""
        self._gate.wait()
        calibration = measures.calibration()
        watch, before = CheckoutWatch(self.broker.address), self._now()
        main_threads = [measures.main_thread(pid) for pid in self.pids]
        load.place(self._shop, orders.messages, rate)
        watch.wait(len(orders.expected), within)
        used = Used.between(before, self._now())
        busy = [measures.main_thread(pid) - early for pid, early in zip(self.pids, main_threads, strict=True)]
        self.seen = seen = watch.read(len(orders.expected))
        self.endings.append(dict(judge(seen, orders.expected)))
        self.repeats += seen.repeats
        count, waited = len(orders.expected), seen.latencies
        return {
            "orders": count,
            "bytes": orders.mean_bytes,
            "per_second": count / seen.seconds,
            "cpu_ms": used.candidate / count * 1000,
            "main_percent": 100 * max(busy) / seen.seconds,
            "broker_cpu_ms": used.broker / count * 1000,
            "p50_ms": percentile(waited, 0.5),
            "p99_ms": percentile(waited, 0.99),
            "calibration_ms": calibration,
            "steal_percent": used.steal,
            "others_percent": used.others,
            "endings": self.endings[-1],
        }

    def supply(self, messages: Sequence[LoadRecord]) -> None:
        """Stock and money, each in its inbox before any request that needs it."""
        load.place(self._shop, messages)

    def memory(self) -> float:
        """MB that its processes have used at most."""
        return measures.memory(self.pids)

    def explain(self) -> str:
        """The end of its logs."""
        return " / ".join(process.last_words() for process in self._processes)

    def close(self) -> None:
        """No process is left."""
        for process in self._processes:
            process.stop()

    def _now(self) -> Moment:
        for process in self._processes:
            process.check()
        broker = self.broker.pid
        assert broker is not None, "the broker has ended"
        return Moment.now(self.pids, broker)


def run(life: CandidateRun, course: Course, trial: Trial) -> None:
    """Every part of the plan, in order; what is found goes into the trial as it comes."""
    life.warm_up(course.supplies, course.warm_up)
    trial.figures["backlog"] = life.run(course.backlog)
    if course.baskets:
        deliveries, orders = course.baskets
        life.supply(deliveries)
        trial.figures["baskets"] = life.run(orders)
    if course.flash:
        trial.figures["flash"] = life.run(course.flash)
    capacity = trial.figures["backlog"]["per_second"]
    for rate in course.plan.rates:
        if rate <= capacity * MOST_OF_CAPACITY:
            trial.figures[f"{rate}/s"] = life.run(course.paced(rate), rate)
    if course.plan.half:
        half = round(capacity / 2)
        trial.figures["half"] = {"rate": half, **life.run(course.paced(half), half)}
    trial.memory_mb = life.memory()


def trial(
    candidate: Candidate,
    launch: Callable[[Place], Launch],
    broker: Broker,
    course: Course,
    number: int,
    gate: QuietGate,
) -> Trial:
    """One life from start to end; what goes wrong is told in the trial, and the run goes on."""
    found = Trial(candidate.name, number)
    life = CandidateRun(candidate, launch, broker, f"bench-{candidate.name}-{number}", gate)
    try:
        run(life, course, found)
    except (Wrong, TooSlow, ProcessFailed) as error:
        found.wrong = f"{error}; {life.explain()}"
    finally:
        life.close()
    found.repeats = life.repeats
    found.compensations = compensations(broker.address)
    if not found.wrong:
        try:
            compensated(found.compensations, life.endings)
            if course.flash and candidate.is_ours:
                TopicLedger(broker.address, app_id=life.name).check()
        except (Wrong, AssertionError) as error:
            found.wrong = str(error)
    return found
