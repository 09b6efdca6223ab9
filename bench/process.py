"""The processes of one candidate."""

import subprocess
from pathlib import Path
from typing import Final

from bench.candidates import Launch
from bench.environments import ROOT
from saga_app.local.process import until

#: Seconds in which a process must end when it is asked to.
STOP_WITHIN: Final = 20.0


class ProcessFailed(Exception):
    """A process that ended or did not get ready; the message has the end of its log."""


class Process:
    """Started, asked and stopped by its own pid only."""

    def __init__(self, launch: Launch, log: Path) -> None:
        self.log = log
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                launch.command,
                env=launch.variables,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                # A Ctrl-C is for the bench, which stops what it has started.
                start_new_session=True,
            )
        self.pid = self._process.pid

    def wait_for(self, words: str, seconds: float) -> None:
        """Until its log has these words. Raises ProcessFailed if it does not get there."""
        until(lambda: words in self._text() or self._process.poll() is not None, seconds)
        self.check()
        if words not in self._text():
            raise ProcessFailed(f"no {words!r} within {seconds:.0f} s: {self.last_words()}")

    def check(self) -> None:
        """Raises ProcessFailed if it has ended."""
        if self._process.poll() is not None:
            raise ProcessFailed(f"it ended with {self._process.returncode}: {self.last_words()}")

    def last_words(self) -> str:
        """The end of its log."""
        return self._text()[-1500:].strip()

    def stop(self) -> None:
        """In order if it can, and by force if it must."""
        self._process.terminate()
        try:
            self._process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _text(self) -> str:
        return self.log.read_text("utf-8", errors="replace")
