"""CPU of processes, of the machine, and of other processes meanwhile. Linux only, from /proc."""

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple, Self

TICKS: Final = os.sysconf("SC_CLK_TCK")
#: About 20 ms of plain Python: enough to see that a machine is slower than it was, too little to slow a run down.
_CALIBRATION: Final = 4_000


class Moment(NamedTuple):
    """Seconds of CPU used up to now: of the candidate, the broker and this program; of all; taken by the host."""

    candidate: float
    broker: float
    bench: float
    busy: float
    steal: float
    clock: float

    @classmethod
    def now(cls, candidate: Iterable[int], broker: int) -> Self:
        """The candidate is all of its processes."""
        fields = [int(each) / TICKS for each in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
        busy = sum(fields[:3]) + sum(fields[5:7])
        used = sum(map(cpu, candidate))
        return cls(used, cpu(broker), time.process_time(), busy, fields[7], time.monotonic())


class Used(NamedTuple):
    """Between two moments: seconds of CPU, and shares of the whole machine."""

    candidate: float
    broker: float
    #: Stolen by the host, in percent of all CPUs.
    steal: float
    #: Used by processes that have no part in this, in percent of all CPUs.
    others: float

    @classmethod
    def between(cls, before: Moment, after: Moment) -> Self:
        spent = [late - early for early, late in zip(before, after, strict=True)]
        candidate, broker, bench, busy, steal, clock = spent
        whole = max(clock, 1e-9) * (os.cpu_count() or 1) / 100
        others = max(0.0, busy - candidate - broker - bench)
        return cls(candidate, broker, steal / whole, others / whole)


def cpu(pid: int) -> float:
    """Seconds of user and system time that a process has used, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def main_thread(pid: int) -> float:
    """Seconds that the main thread of a process has run."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9


def memory(pids: Iterable[int]) -> float:
    """The most MB of memory that these processes have had resident, added up."""
    lines = [line for pid in pids for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def calibration() -> float:
    """Milliseconds that a fixed piece of work takes now: the same machine, busier, takes longer."""
    began = time.perf_counter()
    for number in range(_CALIBRATION):
        json.loads(json.dumps({"number": number, "text": "x" * 100, "list": [1, 2, 3]}))
    return (time.perf_counter() - began) * 1000
