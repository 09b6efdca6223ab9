"""Programs that a test starts as a page or a file says: each logs to a file, and none outlives the test."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from saga_app.local.process import until
from tests.support.blocks import ROOT

BIN: Final = Path(sys.executable).parent


def environment(**settings: str) -> dict[str, str]:
    """This environment with these settings instead of its own, and with our programs on the path."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("SAGA_")}
    return {**own, "PYTHONPATH": str(ROOT), **settings, "PATH": f"{BIN}:{os.environ['PATH']}"}


class Shell:
    """Runs programs in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[subprocess.Popen[bytes]] = []

    def run(self, command: Sequence[str], settings: Mapping[str, str]) -> str:
        """The output of a program that must succeed."""
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment(**settings),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def answer(self, command: Sequence[str], settings: Mapping[str, str], seconds: float = 60) -> str:
        """The output of a program that must succeed within some seconds, however often it is run until then."""
        end = time.monotonic() + seconds
        while True:
            try:
                return self.run(command, settings)
            except AssertionError:
                if time.monotonic() > end:
                    raise
            time.sleep(0.5)

    def start(self, command: Sequence[str], settings: Mapping[str, str]) -> Path:
        """Starts a program that runs on; returns its log."""
        log = self._folder / f"{len(self._started)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment(**settings),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append(process)
        return log

    def stop(self) -> None:
        """SIGTERM to each, the last one first; each must end in order."""
        for process in reversed(self._started):
            process.terminate()
        assert [process.wait(40) for process in self._started] == [0] * len(self._started)

    def close(self) -> None:
        """No process is left."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
                process.wait(10)


def answers(url: str, log: Path, seconds: float = 90) -> None:
    """Waits until a page says 200."""
    assert until(lambda: status(url) == 200, seconds), (
        f"{url}: {status(url)}\n{log.read_text('utf-8')[-3000:]}"
    )


def status(url: str) -> int:
    """The status of a page; 0 if nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
