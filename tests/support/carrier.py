"""The carrier of the examples, as a process that a test kills and starts again."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Self

from harness.ports import free_port
from saga_app.local.process import until
from tests.support.blocks import ROOT
from tests.support.shell import status


class CarrierProcess:
    """Its effects are in a file, and outlive it. It wants a token."""

    token = "a token of this test"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.address = f"http://127.0.0.1:{self._port}"
        self.token_file = folder / "carrier-token"
        self.token_file.write_text(f"{self.token}\n", "utf-8")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Returns when it answers: without the token, with 401."""
        program = [sys.executable, str(ROOT / "examples/carrier/carrier.py"), "--port", str(self._port)]
        self._process = subprocess.Popen(
            [*program, "--file", str(self._folder / "carrier.db")],
            env={**os.environ, "CARRIER_TOKEN": self.token},
            stdin=subprocess.DEVNULL,
        )
        assert until(lambda: status(f"{self.address}/effects?since=2026-01-01T00:00:00Z") == 401, 30)

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None
