"""The results as text, at most 118 columns wide."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from bench.results import Results
from bench.stats import Spread

#: The candidate that the others are compared with.
OURS: Final = "ours"
#: The parts whose orders are placed at once.
BACKLOGS: Final = {
    "backlog": "Backlog of small orders",
    "baskets": "Backlog of real baskets",
    "flash": "Backlog of a flash sale, nine of ten orders for one article",
}
_NONE: Final = "-"


def page(results: Results) -> str:
    """Everything that a reader wants to know."""
    return "\n".join(_parts(results))


def _parts(results: Results) -> Iterable[str]:
    yield results.command
    yield "  ".join(f"{name} {value}" for name, value in results.machine.items())
    yield "  ".join(f"{name} {value}" for name, value in results.versions.items())
    for part, title in BACKLOGS.items():
        if results.figures(part, "orders"):
            yield from ("", *backlog(results, part, title))
    if rates := _rates(results):
        yield from ("", *latency(results, rates))
    if results.candidates:
        yield from ("", "What becomes of an order's effects when something crashes")
        yield from table(["", ""], [(each["label"], each["promise"]) for each in results.candidates])
    if results.kills:
        yield from ("", *_kills(results))
    if measured := [each for each in results.providers if "wrong" not in each]:
        yield from ("", *_providers(measured))
    if results.growth:
        yield from ("", *_growth(results))
    if results.missing or results.wrong:
        yield ""
    yield from (f"NOT MEASURED {name}: {why}" for name, why in results.missing.items())
    yield from (f"WRONG {each}" for each in results.wrong)


def backlog(results: Results, part: str, title: str) -> Iterable[str]:
    """Orders placed at once; from the first placing to the last ending, by the broker's clock."""
    orders, size = max(results.figures(part, "orders")), max(results.figures(part, "bytes"))
    rounds = results.plan["rounds"]
    yield f"{title}: {orders:,.0f} of {size:,.0f} B, placed at once; median of {rounds} (least-most)"
    rows = []
    for each in results.candidates:
        name = each["name"]
        memory = results.of_trial(name, lambda trial: trial.memory_mb)
        rows.append(
            (
                each["label"] + (" *" if each["slow"] else ""),
                spread(results.spread(name, part, "per_second")),
                spread(results.ratio(OURS, name, part, "per_second"), 2),
                middle(results.spread(name, part, "cpu_ms"), 3),
                middle(results.spread(name, part, "broker_cpu_ms"), 3),
                f"{max(memory):.0f}" if memory else _NONE,
                middle(results.spread(name, part, "calibration_ms"), 0),
                middle(results.spread(name, part, "steal_percent"), 1),
                middle(results.spread(name, part, "others_percent"), 0),
            )
        )
    yield from table(
        ["", "orders/s", "ours is x", "CPU ms", "broker", "MB", "loop ms", "steal%", "others%"], rows
    )
    if any(each["slow"] for each in results.candidates):
        yield "* with a tenth of the orders"
    if busy := _busy(results, part):
        yield f"main thread of the busiest worker: {busy}"


def _busy(results: Results, part: str) -> str:
    """Percent of the time from the first order to the last ending; runs of before have no such figure."""
    return ", ".join(
        f"{each['label']} {middle(found)}%"
        for each in results.candidates
        if each["name"].partition("-")[0] == OURS
        and (found := results.spread(each["name"], part, "main_percent"))
    )


def latency(results: Results, rates: Sequence[str]) -> Iterable[str]:
    """From an order's placing to its ending, by the broker's clock."""
    yield (
        "Latency in ms at a steady rate: p50 / p99, and CPU ms per order; medians of the rounds "
        "(half: of its own capacity)"
    )
    rows = []
    for each in results.candidates:
        cells = [each["label"]]
        for rate in rates:
            p50, p99 = (results.spread(each["name"], rate, name) for name in ("p50_ms", "p99_ms"))
            cells.append(f"{middle(p50)} / {middle(p99)}" if p50 else _NONE)
            cells.append(middle(results.spread(each["name"], rate, "cpu_ms"), 2))
        rows.append(cells)
    yield from table(["", *(head for rate in rates for head in (rate, "CPU"))], rows)
    yield "CPU ms per order of the broker"
    brokers = [
        [
            each["label"],
            *(middle(results.spread(each["name"], rate, "broker_cpu_ms"), 2) for rate in rates),
        ]
        for each in results.candidates
    ]
    yield from table(["", *rates], brokers)
    conditions = [
        f"{what} {min(found):.{digits}f}-{max(found):.{digits}f}{unit}"
        for what, name, digits, unit in (
            ("loop", "calibration_ms", 0, " ms"),
            ("steal", "steal_percent", 1, "%"),
            ("others", "others_percent", 0, "%"),
        )
        if (found := [value for rate in rates for value in results.figures(rate, name)])
    ]
    yield f"meanwhile: {', '.join(conditions)}"


def _kills(results: Results) -> Iterable[str]:
    pause = Spread.of([each["longest_pause_s"] for each in results.kills])
    order = Spread.of([each["longest_order_s"] for each in results.kills])
    yield (
        f"kill -9 of one of our two workers at {results.kills[0]['rate']} orders/s: nothing ended for "
        f"{spread(pause, 1)} s, the slowest order took {spread(order, 1)} s"
    )


def _providers(rounds: Sequence[dict[str, Any]]) -> Iterable[str]:
    """A line for each delay of the provider; the first one has no provider."""
    rate = rounds[0]["rate"]
    yield (
        f"Payments at a provider, one worker: outside orders at once and at {rate}/s; then inside orders at {rate}/s, "
        "with as many outside"
    )
    rows = []
    for delay in dict.fromkeys(each["delay_ms"] for each in rounds):
        of_delay = [each for each in rounds if each["delay_ms"] == delay]

        def cell(name: str, digits: int = 0, of_delay: list[dict[str, Any]] = of_delay) -> str:
            values = [each[name] for each in of_delay if name in each]
            return spread(Spread.of(values), digits) if values else _NONE

        rows.append(
            (
                "no provider" if delay is None else f"answers after {delay} ms",
                cell("backlog_per_second"),
                cell("backlog_cpu_ms", 2),
                cell("outside_cpu_ms", 2),
                cell("outside_p50_ms"),
                cell("outside_p99_ms"),
                cell("inside_p50_ms"),
                cell("inside_p99_ms"),
            )
        )
    yield from table(
        ["", "at once/s", "CPU ms", f"CPU at {rate}/s", "p50 ms", "p99 ms", "inside p50", "inside p99"], rows
    )


def _growth(results: Results) -> Iterable[str]:
    yield "Growth: one worker with real baskets; MB, and seconds until it reads orders (restore: with an empty disk)"
    head = [
        "orders",
        "orders/s",
        "CPU ms",
        "of an empty one's",
        "memory",
        "store",
        "inboxes",
        "changelogs",
        "rows",
        "restart s",
        "restore s",
    ]
    yield from table(
        head,
        [
            (
                f"{each['orders']:,}{' *' if 'compacted' in each else ''}",
                f"{each['per_second']:,.0f}" if "per_second" in each else _NONE,
                f"{each['cpu_ms']:.3f}" if "cpu_ms" in each else _NONE,
                spread(Spread(*each["full_is_x"]) if "full_is_x" in each else None, 2),
                *(
                    f"{each[name]:,.0f}"
                    for name in ("memory_mb", "store_mb", "inboxes_mb", "changelogs_mb", "rows")
                ),
                f"{each['restart_s']:.1f}",
                f"{each['restore_s']:.1f}",
            )
            for each in results.growth
        ],
    )
    yield "* with changelogs compacted; of an empty one's: CPU of the same orders in turns, median (least-most)"


def _rates(results: Results) -> list[str]:
    """The parts that are rates, slowest first and `half` last."""
    found = {part for trial in results.trials for part in trial.figures} - BACKLOGS.keys()
    return sorted(found, key=lambda part: (part == "half", int(part.partition("/")[0]) if "/" in part else 0))


def spread(found: Spread | None, digits: int = 0) -> str:
    """The median and, where there is more than one value, how far they are apart."""
    if found is None:
        return _NONE
    median, least, most = (f"{value:,.{digits}f}" for value in found)
    return median if least == most else f"{median} ({least}-{most})"


def middle(found: Spread | None, digits: int = 0) -> str:
    """The median."""
    return _NONE if found is None else f"{found.median:,.{digits}f}"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterable[str]:
    """Columns as wide as they must be; the first one and texts to the left, figures to the right."""
    lines = [line for line in (head, *rows) if any(line)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        cells = [
            f"{cell:<{width}}"
            if not column or (cell[:1].isalpha() and line is not head)
            else f"{cell:>{width}}"
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
