"""The figures of a run, and whether it proves anything."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.chaos.run import Run


@dataclass
class ChaosReport:
    """Everything that is published; `command` repeats the run."""

    command: str
    seed: str
    minutes: float
    workers: int
    rate: float
    strikes: int = 0
    kills: int = 0
    zombies: int = 0
    #: By kind of fault: injected, bit, and why the others do not count.
    injected: dict[str, int] = field(default_factory=dict)
    bit: dict[str, int] = field(default_factory=dict)
    missed: dict[str, int] = field(default_factory=dict)
    #: Seconds that the slowest order around a fault waited, see `Injection.recovery`: p50, p95, max.
    recovery: dict[str, list[float]] = field(default_factory=dict)
    order_seconds: list[float] = field(default_factory=list)
    orders: dict[str, int] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    #: Records of the attacker by kind, and those of them that the broker refused.
    hostile: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    exits: dict[str, int] = field(default_factory=dict)
    mended: dict[str, int] = field(default_factory=dict)
    rebalances: int = 0
    repeats: int = 0
    #: Seconds without any ending while orders were placed, at most.
    longest_silence: float = 0.0
    settled_after: float | None = None
    invariants: list[dict[str, Any]] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    injections: list[dict[str, Any]] = field(default_factory=list)

    @property
    def invalid(self) -> str:
        """Why the run proves nothing; empty if it does."""
        if not sum(self.bit.values()):
            return "no fault hit while work was in flight"
        if not self.repeats:
            return "nothing was sent a second time"
        return "" if self.rebalances else "there was no rebalance"

    @property
    def code(self) -> int:
        """0 everything held, 1 a violation, 2 the run did not bite."""
        return 1 if self.violations else 2 if self.invalid else 0

    @property
    def verdict(self) -> str:
        """One line."""
        if self.violations:
            return f"VIOLATED: {self.violations[0].splitlines()[0]}" + (
                f" (and {len(self.violations) - 1} more)" if self.violations[1:] else ""
            )
        if self.invalid:
            return f"INVALID: {self.invalid}; this run proves nothing"
        return (
            f"everything holds: {self.kills} kill -9 and {self.zombies} zombies with work in flight, "
            f"{sum(self.orders.values())} orders, 0 violations"
        )

    def as_json(self) -> dict[str, Any]:
        return {"verdict": self.verdict, "code": self.code, **asdict(self)}


def percentiles(values: Iterable[float]) -> list[float]:
    """p50, p95, max; nothing of nothing."""
    ordered = sorted(values)
    if not ordered:
        return []
    return [round(ordered[min(int(len(ordered) * share), len(ordered) - 1)], 1) for share in (0.5, 0.95, 1)]


def fill(report: ChaosReport, run: Run) -> None:
    """Fills in the figures of the run; the caller adds audit and repeats."""
    system, watch = run.system, run.system.watch
    injected, bit, missed = Counter[str](), Counter[str](), Counter[str]()
    recovery: dict[str, list[float]] = defaultdict(list)
    by_placing = watch.by_placing()
    for injection in system.injections:
        why, took = injection.why_missed(watch.count), injection.recovery(watch, by_placing)
        injected[injection.fault] += 1
        if why:
            missed[f"{injection.fault}: {why}"] += 1
        else:
            bit[injection.fault] += 1
            report.kills += injection.kill
            recovery[injection.fault].append(took)
        report.injections.append(
            {
                "fault": injection.fault,
                "victim": injection.victim,
                "at": round(injection.at, 3),
                "open": len(injection.open),
                "what": injection.what,
                "missed": why,
                "recovery_s": round(took, 3),
            }
        )
    report.zombies = bit["zombie"]
    report.minutes = round(run.seconds / 60, 1)
    report.strikes = run.strikes
    report.injected, report.bit, report.missed = dict(injected), dict(bit), dict(missed)
    report.recovery = {name: percentiles(each) for name, each in sorted(recovery.items())}
    report.recovery["all faults"] = percentiles(took for each in recovery.values() for took in each)
    report.order_seconds = percentiles(watch.took())
    report.orders = dict(Counter(watch.ended.values()).most_common())
    report.sent = dict(system.load.sent)
    report.hostile, report.refused = dict(system.attacker.sent), dict(system.attacker.refused)
    doors = sum((door.exits for door in system.doors), Counter[str]())
    report.exits = dict(sorted((system.supervisor.exits + doors).items()))
    report.mended = dict(system.supervisor.mended)
    report.rebalances = system.supervisor.generation
    report.settled_after = None if run.settled_after is None else round(run.settled_after, 1)
    report.longest_silence = round(run.longest_silence, 1)
    report.violations += [*run.violations, *system.violations, *system.supervisor.alarms[:5]]


def breaches(invariants: Iterable[dict[str, Any]]) -> list[str]:
    """The audit's breaches in words, the first few of each invariant."""
    return [
        f"{each['invariant']} {each['name']}: {breach}"
        for each in invariants
        if not each["holds"]
        for breach in each["breaches"][:3]
    ]
