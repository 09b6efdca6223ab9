"""Processes that another program started, known by number; and servers that a `with` runs."""

import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

#: Seconds between two checks.
PAUSE = 0.05


def command_line(pid: int) -> str | None:
    """The command line of a running process, its words separated by spaces; None if there is no such process.

    A zombie (ended, and not collected by its parent) has no command line either.
    """
    if Path("/proc/self/cmdline").exists():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return None
        return words.rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace") or None
    answer = subprocess.run(  # noqa: S603 - a number is all that goes in
        ["ps", "-ww", "-o", "args=", "-p", str(pid)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    text = answer.stdout.strip()
    return None if not text or text.endswith("<defunct>") else text


def until(holds: Callable[[], bool], seconds: float) -> bool:
    """Wait until the condition holds; False if it does not within that many seconds."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE)
    return True


class ManagedServer(ABC):
    """A server that a `with` starts, waits for, and always stops."""

    @abstractmethod
    def start(self) -> Self:
        """Start it without waiting."""

    @abstractmethod
    def wait(self) -> Self:
        """Wait until it answers."""

    @abstractmethod
    def stop(self) -> None:
        """End it in order."""

    def __enter__(self) -> Self:
        try:
            return self.start().wait()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
