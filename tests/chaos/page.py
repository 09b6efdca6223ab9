"""The report as one page of Markdown that a stranger understands."""

from collections.abc import Iterable, Sequence
from typing import Any

from tests.chaos import faults
from tests.chaos.injection import AROUND
from tests.chaos.report import ChaosReport
from tests.chaos.run import SETTLED


def page(report: ChaosReport) -> str:
    """The report in Markdown."""
    return "\n".join(
        [
            "# Chaos report",
            "",
            f"**{report.verdict}**",
            "",
            f"{report.workers} workers against one real Kafka, {report.rate:g} orders a second for "
            f"{report.minutes:g} minutes, {report.strikes} faults drawn from seed `{report.seed}`. "
            f"The same plan again: `{report.command}`",
            "",
            "A fault counts (*bit*) only if orders were open at that moment, if some had ended in the same life of "
            "its victim, and if others ended after it. *Recovery* is the longest that an order waited for its end, "
            "from the fault or, if later, from its placing: of the orders that were open at that moment, and of those "
            f"placed within {AROUND:.0f} s after it; by Kafka's clock. Where faults overlap it includes the others.",
            "",
            *_faults(report),
            "",
            *_missed(report),
            "## Orders",
            "",
            *_table(
                ("how they ended", "orders"), [*report.orders.items(), ("all", sum(report.orders.values()))]
            ),
            "",
            f"From placing to end: {_seconds(report.order_seconds)} (p50 / p95 / max). Longest time in which none "
            f"ended: {report.longest_silence:g} s, the broker's own absence not counted. After the last fault "
            "everything had ended "
            + (f"within {report.settled_after} s" if report.settled_after is not None else "NOT in time")
            + f" ({SETTLED:.0f} s are allowed).",
            "",
            f"Repeats absorbed, which only faults explain: {report.repeats:,} requests and endings. "
            f"Rebalances: {report.rebalances}.",
            "",
            "## Invariants",
            "",
            *_table(
                ("invariant", "breaches", "could not be checked"),
                [
                    (f"{each['invariant']} {each['name']}", each["broken"], "; ".join(each["unchecked"]))
                    for each in report.invariants
                ],
            ),
            "",
            *[f"- VIOLATION: {each}" for each in report.violations],
            "",
            "## Dead letters",
            "",
            *_table(("reason", "letters"), _letters(report)),
            "",
            "## What was sent besides",
            "",
            *_table(("what", "records"), sorted(report.sent.items())),
            "",
            "## What an attacker sent",
            "",
            *_table(
                ("what", "records", "refused by the broker"),
                [
                    (kind, count, report.refused.get(kind, 0))
                    for kind, count in sorted(report.hostile.items())
                ],
            ),
            "",
            "## How workers and doors ended",
            "",
            *_table(("exit code", "times"), report.exits.items()),
            "",
            "## What workers mended, by their logs",
            "",
            *_table(("what", "times"), report.mended.items()),
            "",
        ]
    )


def _faults(report: ChaosReport) -> list[str]:
    words = {fault.name: fault.help for fault in faults.EVERY}
    rows = [
        (name, words[name], count, report.bit.get(name, 0), _seconds(report.recovery.get(name, [])))
        for name, count in sorted(report.injected.items())
    ]
    everything: tuple[Any, ...] = (
        "all",
        "",
        sum(report.injected.values()),
        sum(report.bit.values()),
        _seconds(report.recovery.get("all faults", [])),
    )
    return _table(("fault", "what", "injected", "bit", "recovery p50 / p95 / max"), [*rows, everything])


def _missed(report: ChaosReport) -> list[str]:
    if not report.missed:
        return []
    return [
        "Injected but not counted: " + "; ".join(f"{why} ({n})" for why, n in report.missed.items()) + ".",
        "",
    ]


def _letters(report: ChaosReport) -> list[tuple[str, int]]:
    figures: dict[str, int] = next(
        (each["figures"] for each in report.invariants if each["invariant"] == "I8"), {}
    )
    start = "dead letters "
    return [(name.removeprefix(start), n) for name, n in sorted(figures.items()) if name.startswith(start)]


def _seconds(values: Sequence[float]) -> str:
    return " / ".join(f"{value:g}" for value in values) + " s" if values else "-"


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [
        "| " + " | ".join(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in line) + " |"
        for line in lines
    ]
