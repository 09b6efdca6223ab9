"""Results as a run leaves them, for tests of page and chart."""

from typing import Any

from bench import candidates
from bench.results import Results
from bench.trial import Trial


def part(per_second: float, p50: float = 10.0, p99: float = 20.0) -> dict[str, Any]:
    """The figures of one part."""
    return {
        "orders": 1_000,
        "bytes": 275,
        "per_second": per_second,
        "cpu_ms": 0.25,
        "broker_cpu_ms": 0.125,
        "main_percent": 94.0,
        "p50_ms": p50,
        "p99_ms": p99,
        "calibration_ms": 20.0,
        "steal_percent": 0.5,
        "others_percent": 3.0,
        "endings": {"COMPLETED": 1_000},
    }


def results(**speeds: list[float]) -> Results:
    """Candidates by name (with `_` for `-`) and the orders per second of their rounds."""
    named = {name.replace("_", "-"): each for name, each in speeds.items()}
    fields = ("name", "label", "promise", "workers", "slow")
    found = Results(
        "scripts/bench",
        "2026-11-23T10:00:00+00:00",
        {"cores": 2},
        {"kafka": "4.4.0"},
        {"rounds": 2},
        [{field: getattr(each, field) for field in fields} for each in candidates.chosen(list(named))],
    )
    for name, rounds in named.items():
        for number, speed in enumerate(rounds, 1):
            figures = {"backlog": part(speed), "200/s": part(200), "half": part(speed / 2)}
            found.trials.append(Trial(name, number, figures, memory_mb=150.0))
    return found
