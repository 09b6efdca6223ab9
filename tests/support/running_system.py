"""`scripts/run`, as somebody who follows a page has it in another terminal."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from saga_app.local.process import until
from tests.support.blocks import ROOT


class RunningSystem:
    """`scripts/run`, with a folder of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.output = folder / "output"
        # Two that start at once would both find the usual web port free.
        with (Path(tempfile.gettempdir()) / "saga-tests-one-start.lock").open("w") as one_at_a_time:
            fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
            self._start(folder, options)
            until(lambda: self._has_ports() or self.process.poll() is not None, 180)

    def _start(self, folder: Path, options: tuple[str, ...]) -> None:
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                ["scripts/run", *options, "--folder", str(folder)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={name: value for name, value in os.environ.items() if not name.startswith("SAGA_")},
            )

    def _has_ports(self) -> bool:
        return any(words in self.said() for words in ("worker 1: ready", "running until"))

    def said(self) -> str:
        return self.output.read_text("utf-8")

    def wait_for(self, words: str, times: int = 1) -> None:
        """Until it has said this so many times."""
        until(lambda: self.said().count(words) >= times or self.process.poll() is not None, 180)
        assert self.said().count(words) >= times, self.said()[-3000:]

    def shell(self, commands: str) -> str:
        """The output of commands in a user's second terminal; every command must succeed."""
        commands = commands.replace(". .venv/bin/activate && ", "").replace(".run/", f"{self.folder}/")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f". {self.folder}/env\n{commands}"],
            cwd=ROOT,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def row(self, table: str, key: str) -> dict[str, object]:
        """A row, as the worker's web server shows it; {} if there is none."""
        text = self.shell(f"curl -s $SAGA_WEB/table/{table}/{key}/")
        row: dict[str, object] = json.loads(text)
        assert "version" in row or row.keys() >= {"error"}, row
        return row if "version" in row else {}

    def stop(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)
