"""The application with a place where it kills itself, from SAGA_CRASH_AT: `faust -A harness.killed_app worker`.

Only this module reads that variable, so no environment can stop a worker that is not a test's.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable
from typing import Any

from saga_app import topics
from saga_app.engine.durability import Point


def __getattr__(name: str) -> Any:
    """`app`, built on first use: tests of `stop_at` need none."""
    if name != "app":
        raise AttributeError(name)
    from saga_app.application import create_app
    from saga_app.settings import Settings

    globals()["app"] = create_app(Settings.read(), stop_at(os.environ["SAGA_CRASH_AT"]))
    return globals()["app"]


def stop_at(where: str) -> Callable[[str, Point], None]:
    """`TOPIC/POINT:N` ends the process with SIGKILL when that point is passed for the Nth time."""
    place, _, count = where.partition(":")
    topic, _, point = place.partition("/")
    if topic not in topics.INBOXES or point not in list(Point) or not (count or "1").isdecimal():
        raise ValueError(f"SAGA_CRASH_AT is {where!r}; it is TOPIC/POINT:N, POINT one of {', '.join(Point)}")
    passed: Counter[str] = Counter()

    def passing(topic: str, point: Point) -> None:
        passed[f"{topic}/{point}"] += 1
        if passed[place] == int(count or 1) and place == f"{topic}/{point}":
            os.kill(os.getpid(), signal.SIGKILL)

    return passing
