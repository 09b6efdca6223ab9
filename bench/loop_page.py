"""The figures of `scripts/bench --engines` as text, at most 118 columns wide."""

from collections.abc import Iterable
from typing import Any, Final

from bench.page import table

#: Of one figure: its names, which are added up; digits; the head of its column.
COLUMNS: Final = (
    (("per_second",), 0, "orders/s"),
    (("p50_ms",), 1, "p50 ms"),
    (("p99_ms",), 1, "p99 ms"),
    (("server_cpu_ms",), 2, "server"),
    (("program_cpu_ms",), 2, "saga"),
    (("callers_cpu_ms",), 2, "callers"),
    (("server_mb", "program_mb"), 0, "MB"),
    (("calibration_ms",), 0, "loop ms"),
    (("others_percent",), 0, "others%"),
)


def page(found: dict[str, Any]) -> Iterable[str]:
    """Everything that a reader wants to know."""
    yield found["command"]
    for name in ("machine", "versions"):
        yield "  ".join(f"{key} {value}" for key, value in found[name].items())
    measured = [each for each in found["engines"] if each["figures"]]
    if measured:
        spent = f"for {found['seconds']:g} s or {found['most']:,} orders"
        yield from ("", f"Callers who wait for each order's end, {spent}; CPU in ms per order")
        head = ["", "callers", *(head for _, _, head in COLUMNS)]
        yield from table(head, [row for each in measured for row in _rows(each)])
        yield from ("", "What is safe when a caller hears of the end")
        yield from table(["", ""], [(each["label"], each["durable"]) for each in measured])
    yield from (
        f"NOT MEASURED {each['label']}: {each['missing']}" for each in found["engines"] if "missing" in each
    )
    yield from (f"WRONG {each['label']}: {each['wrong']}" for each in found["engines"] if "wrong" in each)


def _rows(engine: dict[str, Any]) -> Iterable[tuple[str, ...]]:
    """A line for each number of callers; the name stands in the first."""
    label = engine["label"]
    for at_once, figures in engine["figures"].items():
        cells = (f"{sum(figures[each] for each in names):,.{digits}f}" for names, digits, _ in COLUMNS)
        yield (label, at_once, *cells)
        label = ""
