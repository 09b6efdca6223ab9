"""Faults go on side by side without threads: each is a generator that yields while it waits."""

import time
from collections.abc import Callable, Iterator

#: A fault under way; it is asked to go on many times a second.
Steps = Iterator[None]


class Hung(Exception):
    """Something that must happen within a time did not: a violation."""


def passing(seconds: float) -> Steps:
    """Goes on after that time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield


def until(holds: Callable[[], bool], seconds: float, what: str) -> Steps:
    """Goes on when it holds; `Hung` if it does not in time."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise Hung(f"not within {seconds:.0f} s: {what}")
        yield


def until_or(holds: Callable[[], bool], seconds: float) -> Steps:
    """Goes on when it holds, or when the time is over."""
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        yield
