"""A terminal of any size, as a program sees it."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence

#: `saga`, as it is installed.
PROGRAM = [sys.executable, "-c", "from saga_app.commands import main; main()"]


class Terminal:
    """A command of `saga` whose output is a terminal; `text` is all that it has written."""

    def __init__(
        self,
        *words: str,
        env: Mapping[str, str],
        columns: int = 80,
        lines: int = 24,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        self._own, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        known = {"TERM": "xterm-256color", "LANG": "C.UTF-8", "PATH": os.environ["PATH"]}
        self.process = subprocess.Popen(
            [*program, *words],
            stdin=other,
            stdout=other,
            stderr=other,
            env={**known, **env},
            start_new_session=True,
        )
        os.close(other)
        self._bytes = b""

    @property
    def text(self) -> str:
        return self._bytes.decode("utf-8", errors="replace").replace("\r\n", "\n")

    def until(self, is_so: Callable[[str], bool], seconds: float = 30) -> str:
        """Reads until that is so; all that was written."""
        end = time.monotonic() + seconds
        while not is_so(self.text):
            assert time.monotonic() < end, self.text
            if not self._read(0.1) and self.process.poll() is not None:
                assert is_so(self.text), self.text
        return self.text

    def end(self, seconds: float = 30) -> int:
        """Reads on until the command has ended by itself; its exit code."""
        end = time.monotonic() + seconds
        while self.process.poll() is None or self._read(0):
            self._read(0.1)
            assert time.monotonic() < end, self.text
        return self.process.wait()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._own)

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._own], [], [], seconds)
        try:
            some = os.read(self._own, 65536) if ready else b""
        except OSError:
            # Linux says so when the other side is closed.
            some = b""
        self._bytes += some
        return bool(some)
