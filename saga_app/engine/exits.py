"""The end of a worker's process: the answer to every failure in a round. Nothing was acknowledged, so nothing is lost.

Code that cannot go on raises `Fatal`. Each way into our code by which one may come is wrapped in `ends_process`, the
only place where the process ends: a thread, a task, a call in an executor, a method that Faust calls.
"""

import os
from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, Final, NoReturn, ParamSpec, TypeVar

from saga_app.engine.exit_codes import Exit

__all__ = ["Exit", "Fatal", "ends_process", "note_end"]

#: Called with the exit code when this process ends itself; one worker is in a process.
note_end: Final[list[Callable[[int], None]]] = []

P = ParamSpec("P")
R = TypeVar("R")


class Fatal(BaseException):
    """The process must end, with this exit code and this text.

    Not an `Exception`: ours, Faust's and those of the libraries between are caught in many places, to be logged,
    retried or survived, and Faust then acknowledges the record. No `except Exception` sees this one.
    """

    def __init__(self, exit_code: Exit, text: str) -> None:
        super().__init__(exit_code, text)
        self.exit = exit_code
        self.text = text

    def __str__(self) -> str:
        line = f"saga worker ends ({self.exit.name.lower()}, exit {self.exit.value}): {self.text}"
        return " ".join(line.split())


def ends_process(entry: Callable[P, R]) -> Callable[P, R]:
    """A function, or a coroutine function, out of which no `Fatal` comes: the process ends instead, at once.

    It stands at the outermost frame that is ours, so that no code but ours sees the exception. Between the `raise`
    and here nothing may wait: other tasks would run, and one of them could commit.
    """
    if iscoroutinefunction(entry):

        @wraps(entry)
        async def task(*args: P.args, **kwargs: P.kwargs) -> Any:
            try:
                return await entry(*args, **kwargs)
            except Fatal as fatal:
                _end(fatal)

        return task  # type: ignore[return-value]

    @wraps(entry)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return entry(*args, **kwargs)
        except Fatal as fatal:
            _end(fatal)

    return call


def _end(fatal: Fatal) -> NoReturn:
    """One clear line on stderr, then the end, without any of the ways in which Faust could acknowledge a record."""
    # Past sys.stderr, which Faust may have turned into a log, and past any lock that the log may hold.
    os.write(2, f"{fatal}\n".encode())
    for note in note_end:
        note(fatal.exit)
    os._exit(fatal.exit)
