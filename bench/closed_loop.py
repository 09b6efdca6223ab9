"""`scripts/bench --engines`: callers who wait for each order's end, 1 to 256 of them, at each engine in its turn."""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psutil

from bench import load, machine, measures
from bench.callers import CallerResults
from bench.engines import ALL, RunningEngine, WorkflowEngine
from bench.environments import HOME, NotToBeHad, Say
from bench.load import LoadRecord
from bench.loop_page import page
from bench.process import ProcessFailed
from bench.quiet import QuietGate
from bench.stats import percentile
from bench.verdict import Wrong, judge
from bench.watch import SeenOrders
from saga_app.local.errors import LocalKafkaError

AT_ONCE: Final = (1, 16, 64, 256)
#: Orders of one figure at most, however fast an engine is.
MOST: Final = 10_000
#: What goes before and is not shown: a JVM compiles what is hot, pools of connections fill.
WARM_UP: Final = 64

Figures = dict[str, Any]


def measured(names: Sequence[str], seconds: float, command: str, say: Say) -> Figures:
    """Every engine that was asked for, each with a server of its own that is gone afterwards."""
    found: Figures = {
        "command": command,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.machine(),
        "versions": machine.engines(),
        "seconds": seconds,
        "most": MOST,
        "engines": [],
    }
    gate = QuietGate(say)
    try:
        for engine in ALL:
            if not names or engine.name in names:
                gate.wait()
                found["engines"].append(trial(engine, seconds, say))
    finally:
        shutil.rmtree(HOME / "data", ignore_errors=True)
    return found


def trial(engine: WorkflowEngine, seconds: float, say: Say) -> Figures:
    """One engine from start to stop; `missing` says why it cannot be had, `wrong` what it did that it must not."""
    found: Figures = {"name": engine.name, "label": engine.label, "durable": engine.durable, "figures": {}}
    try:
        with engine.run(say) as running:
            course(engine.name, running, seconds, found["figures"], say)
    except NotToBeHad as error:
        found["missing"] = str(error)
    except (Wrong, ProcessFailed, LocalKafkaError, psutil.Error) as error:
        found["wrong"] = str(error)
    return found


def course(name: str, running: RunningEngine, seconds: float, figures: Figures, say: Say) -> None:
    """A warm-up and every number of callers; then what is left of stock and money. Raises Wrong or ProcessFailed."""
    orders: dict[str, LoadRecord] = {}
    endings: dict[str, str] = {}
    running.callers.supply(load.supplies())
    for number, at_once in enumerate((WARM_UP, *AT_ONCE)):
        given = load.mix(MOST, f"{name}-{number}")
        told, measured = part(running, given.messages, at_once, seconds if number else seconds / 2)
        judge(SeenOrders(endings={order: {how} for order, how in told.endings.items()}), placed(given, told))
        orders |= {each.key.decode(): each for each in given.messages}
        endings |= told.endings
        if number:
            figures[str(at_once)] = measured
            say(f"{name:<10} {at_once:>3} callers: {measured['per_second']:,.0f} orders/s")
    running.callers.check(orders, endings)


def placed(given: load.OrderLoad, told: CallerResults) -> dict[str, str]:
    """The endings that the orders must have that callers came to; they took them in this order."""
    return dict(list(given.expected.items())[: len(told.endings)])


def part(
    running: RunningEngine, orders: Sequence[LoadRecord], at_once: int, seconds: float
) -> tuple[CallerResults, Figures]:
    """So many callers for so many seconds."""
    calibration = measures.calibration()
    before = moment(running)
    told = running.callers.place(orders, at_once, seconds)
    after = moment(running)
    server, program, callers, busy, steal = (late - early for early, late in zip(before, after, strict=True))
    count, whole = len(told.endings), told.seconds * (psutil.cpu_count() or 1) / 100
    return told, {
        "orders": count,
        "per_second": count / told.seconds,
        "p50_ms": percentile(told.waited, 0.5) * 1000,
        "p99_ms": percentile(told.waited, 0.99) * 1000,
        "server_cpu_ms": server / count * 1000,
        "program_cpu_ms": program / count * 1000,
        "callers_cpu_ms": callers / count * 1000,
        "server_mb": memory(running.server),
        "program_mb": sum(map(memory, running.programs)),
        "calibration_ms": calibration,
        "steal_percent": steal / whole,
        "others_percent": max(0.0, busy - server - program - callers) / whole,
    }


def moment(running: RunningEngine) -> tuple[float, ...]:
    """Seconds of CPU up to now: of server, program and callers; of all; taken by the host."""
    times = psutil.cpu_times()
    busy = times.user + times.nice + times.system + times.irq + times.softirq
    programs = sum(map(cpu, running.programs))
    return cpu(running.server), programs, time.process_time(), busy, times.steal


def cpu(pid: int) -> float:
    """Of a process and all that it has started, those too that have ended."""
    return sum(family(pid, lambda each: sum(each.cpu_times()[:4])))


def memory(pid: int) -> float:
    """MB that a process and its children have now; what they share counts once."""
    return sum(family(pid, lambda each: each.memory_full_info().pss)) / 2**20


def family(pid: int, what: Callable[[psutil.Process], float]) -> Iterator[float]:
    """Something of a process and all that it has started."""
    parent = psutil.Process(pid)
    for child in parent.children(recursive=True):
        # PostgreSQL's helpers come and go.
        with suppress(psutil.NoSuchProcess):
            yield what(child)
    yield what(parent)


def main(names: Sequence[str], seconds: float, command: str, file: Path | None, say: Say) -> int:
    """Measures, prints and keeps; the exit code."""
    found = measured(names, seconds, command, say)
    file = file or HOME / "engines.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    print("\n".join(page(found)))
    return 1 if any("wrong" in each for each in found["engines"]) else 0
