"""The report of an audit: one line for each invariant, with its figures."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from saga_app.audit.findings import INVARIANTS, Findings

#: The names of the sums of a currency or a warehouse.
_SUMS: Final = {
    "I1": "{of}: deposited {came} - taken {taken} + refunded {returned} = balance {left}",
    "I2": "{of}: received {came} - reserved {taken} + released {returned} = available {left}",
}


def as_lines(findings: Findings) -> Iterator[str]:
    """As text: a line for each invariant; below it each breach, and each thing that could not be checked."""
    for invariant, name in INVARIANTS.items():
        if not findings.figures[invariant] and not findings.unchecked[invariant]:
            yield f"{invariant} {name:<21} not checked"
            continue
        broken = findings.broken[invariant]
        verdict = "holds" if not broken else f"BROKEN {broken} times"
        yield f"{invariant} {name:<21} {verdict:<8} {'; '.join(_figures(invariant, findings))}".rstrip()
        shown = [each for each in findings.breaches if each.invariant == invariant][:10]
        yield from (f"     BREACH {breach}" for breach in shown)
        if broken > len(shown):
            yield f"     and {broken - len(shown):,} more (--json names up to 100)"
        for why, number in findings.unchecked[invariant].items():
            yield f"     not checked: {why}" + (f" ({number:,})" if number > 1 else "")


def as_json(findings: Findings) -> Iterator[dict[str, Any]]:
    """As JSON: an object for each invariant."""
    for invariant, name in INVARIANTS.items():
        yield {
            "invariant": invariant,
            "name": name,
            "holds": not findings.broken[invariant],
            "broken": findings.broken[invariant],
            "figures": dict(findings.figures[invariant]),
            "breaches": [each.as_json() for each in findings.breaches if each.invariant == invariant],
            "unchecked": dict(findings.unchecked[invariant]),
        }


def _figures(invariant: str, findings: Findings) -> Iterator[str]:
    figures = findings.figures[invariant]
    if invariant in _SUMS:
        yield from _sums(invariant, figures)
        return
    for name, number in figures.items():
        yield f"{name} {number:,}"


def _sums(invariant: str, figures: Counter[str]) -> Iterator[str]:
    counted = [name for name in figures if " " not in name]
    yield from (f"{figures[name]:,} {name}" for name in counted)
    for of in sorted({name.rpartition(" ")[0] for name in figures} - {""}):
        sums: dict[str, Decimal | int] = {
            name: figures[f"{of} {name}"] for name in ("came", "taken", "returned", "left")
        }
        yield _SUMS[invariant].format(of=of, **{name: f"{amount:,}" for name, amount in sums.items()})
