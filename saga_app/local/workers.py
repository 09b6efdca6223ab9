"""Workers and other processes of this machine: started, watched, restarted when they die, stopped in order."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from saga_app.commands.exit_codes import CommandExit
from saga_app.engine.exit_codes import NEEDS_A_PERSON, OF_WORKERS, ExitCode, OtherExit, meaning
from saga_app.local.config import free_ports, is_free
from saga_app.local.process import until

#: Seconds until a worker must be ready, and until a stopped one must have ended before it is killed.
READY_WITHIN: Final = 90.0
STOP_WITHIN: Final = 30.0
#: The default port of Faust's web server.
FIRST_WEB_PORT: Final = 6066
#: The default of SAGA_API_PORT.
FIRST_API_PORT: Final = 6080
#: After these ends a worker is not started again: somebody asked it to stop, or its next start would end as this one.
LEFT_STOPPED: Final = (OtherExit.STOPPED, OtherExit.TERMINATED, *NEEDS_A_PERSON)
#: A worker logs this when its partitions are restored and read.
READY: Final = "worker ready"


class WorkerFailed(Exception):
    """A worker did not get ready; the message has the end of its log."""


class LocalProcess:
    """A program of ours with its own log and pid file in the run folder."""

    #: The kinds of its exit codes.
    exit_codes: tuple[type[ExitCode], ...] = OF_WORKERS

    def __init__(
        self,
        folder: Path,
        name: str,
        command: Sequence[str],
        settings: Mapping[str, str],
        say: Callable[[str], None],
    ) -> None:
        self.name = name
        self.log = folder / f"{name.replace(' ', '-')}.log"
        self.pid_file = self.log.with_suffix(".pid")
        self._say = say
        self._command = [str(Path(sys.executable).with_name(command[0])), *command[1:]]
        self._environment = {**os.environ, **settings}
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        self._last_code: int | None = None
        #: True if the process ended and is not started again.
        self.is_left = False

    def start(self) -> None:
        """Starts the process without waiting."""
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C then reaches the parent alone, which stops workers first and the broker last.
                start_new_session=True,
            )
        self.pid_file.write_text(f"{self._process.pid}\n")

    @property
    def ended(self) -> int | None:
        """Its exit code, or None while it runs."""
        assert self._process is not None
        return self._process.poll()

    def restart_if_dead(self) -> None:
        """Restarts a dead process, or leaves it stopped, and says so."""
        code = self.ended
        if code is None or self.is_left:
            return
        assert self._process is not None
        pid = self._process.pid
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        if self._is_final(code):
            self.is_left = True
            self.pid_file.unlink(missing_ok=True)
            self._say(f"{self.name} (pid {pid}) {how} and stays stopped{self._left_words(code)}")
        else:
            self.start()
            self._say(f"{self.name} (pid {pid}) {how}; started again as pid {self._process.pid}")
        # Once, if it ends so again and again; a signal was somebody's, who knows why.
        if code > 0 and code != self._last_code:
            self._say_why(code)
        self._last_code = code

    def _is_final(self, code: int) -> bool:
        """True if another start would end in the same way, or nobody wants one."""
        return meaning(code, self.exit_codes) in LEFT_STOPPED

    def _left_words(self, code: int) -> str:
        """The effect of its being stopped."""
        return "; the broker goes on, and scripts/run starts all again after Ctrl-C"

    def terminate(self) -> None:
        """Asks it to end, without waiting."""
        if self._process is not None and self.ended is None:
            self._process.terminate()

    def stop(self) -> None:
        """Ends it in order, or kills it if it does not end in time."""
        if self._process is None:
            return
        if self.ended is None:
            self.terminate()
            if not until(lambda: self.ended is not None, STOP_WITHIN):
                self._process.kill()
                self._process.wait()
        self.pid_file.unlink(missing_ok=True)

    def _say_why(self, code: int) -> None:
        for line in self._explained(code):
            self._say(line)

    def _explained(self, code: int) -> list[str]:
        """Two lines for people: the cause of an end with this code, and the remedy."""
        found = meaning(code, self.exit_codes)
        return [] if found is None else [f"  cause: {found.name}: {found.cause}", f"  do: {found.remedy}"]

    def _logged(self) -> str:
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")


class LocalWorker(LocalProcess):
    """One `faust worker` with its own data directory and web port."""

    def __init__(
        self, folder: Path, number: int, settings: Mapping[str, str], say: Callable[[str], None]
    ) -> None:
        self.number = number
        self.port = _web_port(number)
        own = {
            "SAGA_DATA_DIR": str(folder / "data" / f"worker-{number}"),
            "SAGA_WEB_PORT": str(self.port),
        }
        command = ("faust", "-A", "saga_app", "worker", "-l", "info")
        super().__init__(folder, f"worker {number}", command, {**settings, **own}, say)

    @property
    def url(self) -> str:
        """The address of its web server."""
        return f"http://127.0.0.1:{self.port}"

    def wait(self) -> None:
        """Waits until it is ready. Raises `WorkerFailed`."""
        until(lambda: self.ended is not None or READY in self._logged(), READY_WITHIN)
        if READY not in self._logged():
            ended = self.ended
            how = "did not get ready" if ended is None else f"ended with exit code {ended}"
            why = [] if ended is None else self._explained(ended)
            if ended is not None and self._is_final(ended):
                why.append("  commands need a broker: scripts/run --workers 0 starts it alone")
            log = f"worker {self.number} {how}. The end of {self.log}:\n{self._logged()[-2000:].rstrip()}"
            raise WorkerFailed("\n".join([log, *why]))


class LocalOrderDatabase(LocalProcess):
    """`saga orderdb run`, which keeps the order database up to date."""

    exit_codes = (CommandExit,)

    def __init__(self, folder: Path, settings: Mapping[str, str], say: Callable[[str], None]) -> None:
        super().__init__(folder, "orderdb", ("saga", "orderdb", "run"), settings, say)

    def _is_final(self, code: int) -> bool:
        """If it ended by itself, it would end again."""
        return code >= 0

    def _left_words(self, code: int) -> str:
        return f", and orders go on without it; see {self.log}"


class LocalApi(LocalProcess):
    """`saga api`, which takes orders over HTTP."""

    exit_codes = (CommandExit,)

    def __init__(self, folder: Path, settings: Mapping[str, str], say: Callable[[str], None]) -> None:
        self.port = _free_port(FIRST_API_PORT)
        super().__init__(folder, "api", ("saga", "api"), {**settings, "SAGA_API_PORT": str(self.port)}, say)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def _is_final(self, code: int) -> bool:
        """If it ended by itself, it would end again."""
        return code >= 0

    def _left_words(self, code: int) -> str:
        return f", and orders go on without it; see {self.log}"


def _web_port(number: int) -> int:
    return _free_port(FIRST_WEB_PORT + number - 1)


def _free_port(wanted: int) -> int:
    """The wanted port, or another one if that is taken."""
    return wanted if is_free(wanted) else free_ports(1)[0]
