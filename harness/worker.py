"""A worker process for tests: plain `faust worker`, with its own data directory and web port."""

import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Self

from harness.ports import free_port
from harness.process import ROOT, LoggedProcess

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


class WorkerProcess(LoggedProcess):
    """Started, stopped and killed by its own pid only."""

    def __init__(self, broker: str, folder: Path, name: str = "w1", **settings: str) -> None:
        super().__init__(folder / name / "worker.log")
        self.name = name
        self.folder = folder / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = self.folder / "data"
        self.port = free_port()
        self.level = "info"
        self.environment = environment(broker, self.data, self.port, **settings)

    def start(self, **settings: str) -> Self:
        """Starts the process; does not wait until it is ready."""
        application = "harness.killed_app" if "SAGA_CRASH_AT" in settings else "saga_app"
        command = [FAUST, "-A", application, "worker", "-l", self.level]
        return self.run(command, {**self.environment, **settings})

    def last_words(self) -> str:
        """The line with which it ended itself, empty if there is none."""
        return next((line for line in self.text().splitlines() if "saga worker ends (" in line), "")

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

    def lose_disk(self) -> None:
        """Everything that it had stored is gone."""
        assert not self.alive
        shutil.rmtree(self.data)
