"""Progress of long work, on stderr and only on a terminal."""

import time
from collections.abc import Callable
from typing import Final

import click

#: Seconds from one line to the next: at least so many, and at least this share of the time that the work has taken.
LEAST_SECONDS: Final = 1.0
_SHARE: Final = 0.05


def progress_of(command: str, *, as_json: bool = False) -> Callable[[str], None]:
    """A function that tells what a command does now; it says nothing of short work, nor where nobody looks."""
    if as_json or not click.get_text_stream("stderr").isatty():
        return lambda words: None
    began = last = time.monotonic()

    def tell(words: str) -> None:
        nonlocal last
        at = time.monotonic()
        if at - last >= max(LEAST_SECONDS, _SHARE * (at - began)):
            last = at
            click.echo(f"{command}: {words} ...", err=True)

    return tell
