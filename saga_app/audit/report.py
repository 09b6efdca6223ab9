"""The report of an audit: one line for each invariant, with its figures."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from saga_app.audit.acknowledged import Acknowledgement, Acknowledgements
from saga_app.audit.findings import INVARIANTS, Findings
from saga_app.times import written

#: The names of the sums of a currency or a warehouse.
_SUMS: Final = {
    "I1": "{of}: deposited {came} - taken {taken} + refunded {returned} = balance {left}",
    "I2": "{of}: received {came} - reserved {taken} + released {returned} = available {left}",
}


def as_lines(findings: Findings, known: Acknowledgements | None = None) -> Iterator[str]:
    """As text: a line for each invariant; below it each breach, and each thing that could not be checked."""
    known = known or Acknowledgements()
    for invariant, name in INVARIANTS.items():
        if not findings.figures[invariant] and not findings.unchecked[invariant]:
            yield f"{invariant} {name:<21} not checked"
            continue
        broken = findings.broken[invariant]
        accepted = [each for each in findings.acknowledged if each.invariant == invariant]
        verdict = f"BROKEN {broken} times" if broken else "ACKNOWLEDGED" if accepted else "holds"
        yield f"{invariant} {name:<21} {verdict:<8} {'; '.join(_figures(invariant, findings))}".rstrip()
        shown = [each for each in findings.breaches if each.invariant == invariant][:10]
        yield from (f"     BREACH {breach} [{breach.id}]" for breach in shown)
        if broken > len(shown):
            yield f"     and {broken - len(shown):,} more (--json names up to 100)"
        yield from (f"     ACKNOWLEDGED {_by(known.of(each))}" for each in accepted)
        for why, number in findings.unchecked[invariant].items():
            yield f"     not checked: {why}" + (f" ({number:,})" if number > 1 else "")

    for each in known.not_in(findings):
        yield f"ACKNOWLEDGED before, and not found by this audit: {each.invariant} {_by(each)}"


def _by(known: Acknowledgement) -> str:
    return f"{known.breach} [{known.id}]; by {known.by} at {written(known.time)}: {known.why}"


def as_json(findings: Findings, known: Acknowledgements | None = None) -> Iterator[dict[str, Any]]:
    """As JSON: an object for each invariant."""
    known = known or Acknowledgements()
    accepted = [
        *(known.of(each).model_dump() | {"found": True} for each in findings.acknowledged),
        *(each.model_dump() | {"found": False} for each in known.not_in(findings)),
    ]
    for invariant, name in INVARIANTS.items():
        yield {
            "invariant": invariant,
            "name": name,
            "holds": not findings.broken[invariant],
            "broken": findings.broken[invariant],
            "figures": dict(findings.figures[invariant]),
            "breaches": [
                {"id": each.id, **each.as_json()} for each in findings.breaches if each.invariant == invariant
            ],
            "acknowledged": [each for each in accepted if each["invariant"] == invariant],
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
