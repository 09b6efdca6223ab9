"""A real PostgreSQL for tests: its own server on loopback, from the distribution's package."""

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self

from harness.ports import free_port

#: The reason for a skip, and what to do.
MISSING = "no PostgreSQL server here; install one: apt-get install -y --no-install-recommends postgresql"
CONFIG: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    # A kill of the server is part of the tests, a power failure is not.
    "fsync": "off",
    "shared_buffers": "64MB",
}


def binaries() -> Path | None:
    """The folder of the newest server's programs; None if there is no server."""
    found = [
        *Path("/usr/lib/postgresql").glob("*/bin/initdb"),
        *Path("/opt/homebrew/opt").glob("postgresql*/bin/initdb"),
    ]
    newest = max(found, default=None, key=lambda path: [int(part) for part in path.parts if part.isdigit()])
    on_path = shutil.which("initdb")
    if newest is None and on_path is not None:
        newest = Path(on_path).resolve()
    return newest.parent if newest else None


def _owner() -> dict[str, Any]:
    """The server refuses root: then it runs as the user that the package made, or as nobody."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise AssertionError("no user that a PostgreSQL server could run as")


class Postgres:
    """One server, with its data in a folder that its user can reach."""

    def __init__(self, folder: Path, config: Mapping[str, str] = CONFIG) -> None:
        bin_folder = binaries()
        assert bin_folder is not None, MISSING
        self._bin = bin_folder
        self._data = folder / "data"
        self._log = folder / "postgres.log"
        self._config = config
        self._as = _owner()
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        if self._as:
            os.chown(folder, self._as["user"], self._as["group"])
        words = ("--auth=trust", "--username=saga", "--encoding=UTF8", "--no-sync", "-D", str(self._data))
        self._run("initdb", *words)

    @property
    def pid(self) -> int:
        """The server's first process; all others are its children."""
        assert self._process is not None, "the server was not started"
        return self._process.pid

    def url(self, database: str) -> str:
        """The address of a database, as SAGA_DB_URL has it."""
        return f"postgresql://saga:not-a-secret@127.0.0.1:{self.port}/{database}"

    def start(self) -> Self:
        """Returns when it answers."""
        settings = [word for name, value in self._config.items() for word in ("-c", f"{name}={value}")]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self._data, "-p", str(self.port), *settings],
                cwd="/",
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_ends_with_its_parent,
                **self._as,
            )
        end = time.monotonic() + 60
        while self._ask("pg_isready", "-q").returncode != 0:
            assert self._process.poll() is None and time.monotonic() < end, self._log.read_text()[-2000:]
            time.sleep(0.05)
        return self

    def create(self, database: str) -> str:
        """A new, empty database; its address."""
        self._run("createdb", *self._where(), database)
        return self.url(database)

    def psql(self, database: str, statements: str) -> None:
        """Carries statements out as a person does who types them."""
        self._run("psql", *self._where(), "-d", database, "-v", "ON_ERROR_STOP=1", "-c", statements)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT ends every connection at once; SIGQUIT is a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def _where(self) -> tuple[str, ...]:
        return ("-h", "127.0.0.1", "-p", str(self.port), "-U", "saga")

    def _ask(self, program: str, *words: str) -> "subprocess.CompletedProcess[bytes]":
        return self._call([str(self._bin / program), *self._where(), *words])

    def _run(self, program: str, *words: str) -> None:
        done = self._call([str(self._bin / program), *words])
        assert done.returncode == 0, done.stderr.decode()

    def _call(self, words: list[str]) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(
            words, cwd="/", env=self._environment(), capture_output=True, check=False, timeout=60, **self._as
        )

    def _environment(self) -> dict[str, str]:
        """The environment without PG... variables, which could name another server."""
        return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _ends_with_its_parent() -> None:
    """Ends the server with the test run, also if that is killed."""
    if sys.platform == "linux":
        set_death_signal = 1
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGQUIT)


def server(config: Mapping[str, str] = CONFIG, parent: str | None = None) -> Iterator[Postgres]:
    """A running server, which is removed afterwards. Its user cannot reach into pytest's folders."""
    with tempfile.TemporaryDirectory(prefix="saga-postgres-", dir=parent) as folder:
        postgres = Postgres(Path(folder), config)
        try:
            yield postgres.start()
        finally:
            postgres.stop()
