"""A worker process for tests: plain `faust worker`, with its own data directory and web port."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Worker:
    """Started, stopped and killed by its own pid only."""

    def __init__(self, broker: str, folder: Path, name: str = "w1", **environment: str) -> None:
        self.name = name
        self.folder = folder / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "worker.log"
        self.port = free_port()
        self.environment = {
            **os.environ,
            "SAGA_BROKER": broker,
            "SAGA_DATA_DIR": str(self.folder / "data"),
            "SAGA_WEB_PORT": str(self.port),
            **environment,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._read = 0

    def start(self, **environment: str) -> "Worker":
        """Starts the process; does not wait until it is ready."""
        command = [str(Path(sys.executable).with_name("faust")), "-A", "saga_app", "worker", "-l", "info"]
        self._read = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, env={**self.environment, **environment}, stdout=log, stderr=subprocess.STDOUT
            )
        return self

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, f"worker {self.name} was not started"
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def text(self) -> str:
        """What this process has logged since its start."""
        with self.log.open("rb") as log:
            log.seek(self._read)
            return log.read().decode(errors="replace")

    def wait_for(self, line: str, seconds: float = 60, count: int = 1) -> None:
        """Until the log has this text so many times."""
        end = time.monotonic() + seconds
        while self.text().count(line) < count:
            assert self.alive, f"worker {self.name} ended with {self.process.returncode}: {self.text()[-3000:]}"
            assert time.monotonic() < end, f"no {line!r} within {seconds} s: {self.text()[-3000:]}"
            time.sleep(0.02)

    def ready(self, seconds: float = 60) -> "Worker":
        """Until partitions are assigned, restored and read."""
        self.wait_for("worker ready", seconds)
        return self

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(10)

    def end(self, how: signal.Signals = signal.SIGTERM, seconds: float = 30) -> int:
        """A stop in order; the exit code."""
        self.process.send_signal(how)
        return self.process.wait(seconds)

    def wait_for_end(self, seconds: float = 60) -> int:
        """Until the process ends by itself; the exit code."""
        return self.process.wait(seconds)

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Whatever it does: it is gone afterwards."""
        if self.alive:
            self.process.send_signal(signal.SIGCONT)
            self.kill()
