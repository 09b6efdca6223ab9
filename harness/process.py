"""A process that a test or a benchmark starts, with its output in a file; it is ended by its own pid only."""

import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parent.parent


class LoggedProcess:
    """A program that stays, and may be started again. Its output is added to `log`."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._read = 0

    def run(self, command: Sequence[str | Path], env: Mapping[str, str]) -> Self:
        """Starts the process, and does not wait until it is ready."""
        self._read = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env=env,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A Ctrl-C for the test run is not one for the process.
                start_new_session=True,
            )
        return self

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None, f"the process of {self.log} was not started"
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def code(self) -> int | None:
        """The exit code, None while it runs; -9 after SIGKILL."""
        return self.process.poll()

    @property
    def log_start(self) -> int:
        """Where the log of this process begins."""
        return self._read

    def text(self) -> str:
        """The output since the last start."""
        with self.log.open("rb") as log:
            log.seek(self._read)
            return log.read().decode(errors="replace")

    def wait_for(self, words: str, seconds: float = 60, count: int = 1) -> None:
        """Until the output since the last start has these words so many times."""
        end = time.monotonic() + seconds
        while self.text().count(words) < count:
            assert self.alive, f"{self.log} ended with {self.code}: {self.text()[-3000:]}"
            assert time.monotonic() < end, f"no {words!r} within {seconds} s: {self.text()[-3000:]}"
            time.sleep(0.02)

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(10)

    def end(self, how: signal.Signals = signal.SIGTERM, seconds: float = 40) -> int:
        """A stop in order; the exit code."""
        self.process.send_signal(how)
        return self.process.wait(seconds)

    def wait_for_end(self, seconds: float = 90) -> int:
        """Until the process ends by itself; the exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.log} runs on after {seconds} s: {self.text()[-3000:]}") from None

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Whatever it does: it is gone afterwards."""
        if self.alive:
            self.wake()
            self.kill()
