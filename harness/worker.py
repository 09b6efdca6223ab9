"""A worker process for tests: plain `faust worker`, with its own data directory and web port."""

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Self

from harness.ports import free_port

ROOT = Path(__file__).parent.parent
FAUST = str(Path(sys.executable).with_name("faust"))
#: What a worker logs when its partitions are restored and read.
READY = "worker ready"


def environment(broker: str, data: Path, port: int, **more: str) -> dict[str, str]:
    """The environment of a process of ours. It runs the code of this checkout, wherever it is started."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("SAGA_")},
        "PYTHONPATH": str(ROOT),
        "SAGA_BROKER": broker,
        "SAGA_DATA_DIR": str(data),
        "SAGA_WEB_PORT": str(port),
        **more,
    }


def faust(*words: str, env: dict[str, str], seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """One Faust command, as people type it."""
    return subprocess.run(
        [FAUST, "-A", "saga_app", *words],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


class WorkerProcess:
    """Started, stopped and killed by its own pid only."""

    def __init__(self, broker: str, folder: Path, name: str = "w1", **settings: str) -> None:
        self.name = name
        self.folder = folder / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = self.folder / "data"
        self.log = self.folder / "worker.log"
        self.port = free_port()
        self.level = "info"
        self.environment = environment(broker, self.data, self.port, **settings)
        self._process: subprocess.Popen[bytes] | None = None
        self._read = 0

    def start(self, **settings: str) -> Self:
        """Starts the process; does not wait until it is ready."""
        self._read = self.log.stat().st_size if self.log.exists() else 0
        application = "harness.killed_app" if "SAGA_CRASH_AT" in settings else "saga_app"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [FAUST, "-A", application, "worker", "-l", self.level],
                env={**self.environment, **settings},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A Ctrl-C for the test run is not one for the worker.
                start_new_session=True,
            )
        return self

    @property
    def log_start(self) -> int:
        """Where the log of this process begins."""
        return self._read

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None, f"worker {self.name} was not started"
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

    def text(self) -> str:
        """The text that this process has logged since its start."""
        with self.log.open("rb") as log:
            log.seek(self._read)
            return log.read().decode(errors="replace")

    def last_words(self) -> str:
        """The line with which it ended itself, empty if there is none."""
        return next((line for line in self.text().splitlines() if "saga worker ends (" in line), "")

    def wait_for(self, line: str, seconds: float = 60, count: int = 1) -> None:
        """Until the log has this text so many times."""
        end = time.monotonic() + seconds
        while self.text().count(line) < count:
            assert self.alive, f"worker {self.name} ended with {self.code}: {self.text()[-3000:]}"
            assert time.monotonic() < end, f"no {line!r} within {seconds} s: {self.text()[-3000:]}"
            time.sleep(0.02)

    def ready(self, seconds: float = 60, count: int = 1) -> Self:
        """Until partitions are assigned, restored and read, for so many times since the start."""
        self.wait_for(READY, seconds, count)
        return self

    @property
    def assignments(self) -> int:
        """How often it got partitions since its start."""
        return self.text().count(READY)

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a page of its web server."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(10)

    def lose_disk(self) -> None:
        """Everything that it had stored is gone."""
        assert not self.alive
        shutil.rmtree(self.data)

    def end(self, how: signal.Signals = signal.SIGTERM, seconds: float = 30) -> int:
        """A stop in order; the exit code."""
        self.process.send_signal(how)
        return self.process.wait(seconds)

    def wait_for_end(self, seconds: float = 60) -> int:
        """Until the process ends by itself; the exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"worker {self.name} runs on after {seconds} s: {self.text()[-3000:]}"
            ) from None

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Whatever it does: it is gone afterwards."""
        if self.alive:
            self.wake()
            self.kill()
