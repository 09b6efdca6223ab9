"""Starts, stops, kills and pauses one local Kafka broker.

A broker writes to one folder, which belongs to one broker at a time: `data`, `tmp`, `broker.log`, `server.properties`,
and `broker.json` with its process and ports. If the program that started a broker is killed, the broker lives on; the
next `Broker` on the same folder finds it through `broker.json`, and uses it or stops it. A `with` leaves no process.
"""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Self

from saga_app.local import config, jars, java
from saga_app.local.errors import LocalKafkaError
from saga_app.local.home import Home, SavedBroker, Seat, new_cluster_id
from saga_app.local.process import ManagedServer, command_line, until

#: Seconds until a started broker must answer, and until a stopped one must have ended before it is killed.
START_WITHIN = 90.0
STOP_WITHIN = 30.0
SERVER_OPTIONS = (
    "-XX:+UseSerialGC",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=info",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
)
#: For a single broker, and for a broker of a cluster.
HEAP_ALONE = "-Xmx512m"
HEAP_OF_SEVERAL = "-Xmx256m"
#: For a program that runs for half a second.
TOOL_OPTIONS = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")


class Broker(ManagedServer):
    """One broker and its folder. Its port, once chosen, stays the same for as long as the folder exists.

    `port` 0 means any free one. A broker of a `Cluster` has a `seat`, with its port. `proxied` adds a listener, see
    `config.with_proxied_listener`; `adapt` may change the properties last. `java` and `jar_folder` default to
    `find_java()` and `cache_folder()`; `say` gets a sentence about each slow step. Every method may be called twice.
    """

    def __init__(
        self,
        folder: Path | str,
        port: int = 0,
        *,
        seat: Seat | None = None,
        proxied: tuple[int, int] | None = None,
        adapt: Callable[[dict[str, str]], dict[str, str]] = dict,
        java: Path | None = None,
        jar_folder: Path | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.folder = Path(folder).resolve()
        self._home = Home(self.folder)
        self.log = self._home.log
        self._seat = seat
        self._proxied = proxied
        self._adapt = adapt
        self._wanted_port = seat.port if seat else port
        self._java = java
        self._jar_folder = jar_folder
        self._say = say
        self._child: subprocess.Popen[bytes] | None = None

    # State

    @property
    def address(self) -> str:
        """Host and port for clients, such as `127.0.0.1:20001`. Raises LocalKafkaError before the first start."""
        saved = self._home.saved()
        if saved is None:
            raise LocalKafkaError(f"The broker in {self.folder} has no address yet: call start() first.")
        return f"{config.HOST}:{saved.port}"

    def has_address(self, address: str) -> bool:
        """True if the broker has this address, or had it when it last ran."""
        saved = self._home.saved()
        return saved is not None and address == f"{config.HOST}:{saved.port}"

    @property
    def pid(self) -> int | None:
        """The process of the broker if it is running (or paused), whoever started it; else None."""
        saved = self._home.saved()
        if saved is None or saved.pid == 0:
            return None
        if self._child is not None and self._child.pid == saved.pid:
            return saved.pid if self._child.poll() is None else None
        # Another process may have the number by now, so our own file must be on its command line.
        return saved.pid if str(self._home.properties) in (command_line(saved.pid) or "") else None

    # Control

    def start(self) -> Self:
        """Start it without waiting, or use the broker that runs already; a paused one goes on.

        Raises LocalKafkaError if there is no Java, if the jars cannot be had, or if the port is taken.
        """
        if (pid := self.pid) is not None:
            os.kill(pid, signal.SIGCONT)
            if self._wanted_port in (0, self._ports()[0]):
                return self
            self.stop()
        command = [
            str(self._java or java.find_java()),
            f"-Djava.io.tmpdir={self._home.tmp}",
            "-XX:-UsePerfData",
        ]
        found = jars.locked_jars(self._jar_folder, say=self._say)
        classpath = os.pathsep.join(map(str, found))
        ports = self._ports()
        self._home.lay_out(*ports, self._seat.controllers if self._seat else (), self._proxied, self._adapt)
        if not self._home.is_formatted:
            self._format([*command, *TOOL_OPTIONS, "-cp", classpath, "kafka.tools.StorageTool"])
        heap = HEAP_OF_SEVERAL if self._seat else HEAP_ALONE
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(  # noqa: S603 - our own command
                [
                    *command,
                    heap,
                    *SERVER_OPTIONS,
                    "-cp",
                    classpath,
                    "kafka.Kafka",
                    str(self._home.properties),
                ],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C then reaches the parent alone, which stops workers first and the broker last.
                start_new_session=True,
            )
        self._home.save(SavedBroker(self._child.pid, *ports))
        return self

    def wait(self, seconds: float = START_WITHIN) -> Self:
        """Wait until it answers a request for metadata. Raises LocalKafkaError, with its last words, if it does not."""
        answered = until(lambda: self.pid is None or self.answers(), seconds)
        if self.pid is None:
            raise LocalKafkaError(
                f"The broker in {self.folder} has ended. The end of {self.log}:\n{self._home.last_words()}"
            )
        if not answered:
            raise LocalKafkaError(
                f"The broker at {self.address} did not answer within {seconds:g} s. The end of {self.log}:\n"
                f"{self._home.last_words()}"
            )
        return self

    def answers(self) -> bool:
        """True if it lists itself among the brokers of its cluster; one request, of at most a second."""
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        host, port = self.address.split(":")
        try:
            # A plain connection fails at once while the broker is down; librdkafka would print every attempt.
            socket.create_connection((host, int(port)), timeout=1).close()
            asked = AdminClient({"bootstrap.servers": self.address, "log_level": 0}).list_topics(timeout=1)
        except (OSError, KafkaException):
            return False
        return any(each.port == int(port) for each in asked.brokers.values())

    def stop(self, seconds: float = STOP_WITHIN) -> None:
        """End it in order and keep its data; kill it if it has not ended within that many seconds."""
        if (pid := self.pid) is None:
            return
        self.terminate()
        if not until(lambda: self.pid is None, seconds):
            self._say(f"The broker (process {pid}) did not stop within {seconds:g} s and is killed.")
            self.kill()
        self._forget()

    def terminate(self) -> None:
        """Ask it to end, without waiting."""
        if (pid := self.pid) is not None:
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, as a crash would (SIGKILL); its data stays as it is."""
        if (pid := self.pid) is None:
            return
        os.kill(pid, signal.SIGKILL)
        until(lambda: self.pid is None, STOP_WITHIN)
        self._forget()

    def pause(self) -> None:
        """Freeze it (SIGSTOP): connections stay open, nothing answers. Raises LocalKafkaError if it is not running."""
        os.kill(self._running(), signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after `pause`. Raises LocalKafkaError if it is not running."""
        os.kill(self._running(), signal.SIGCONT)

    def restart(self) -> Self:
        """Stop it if it runs, start it with the same port and data, and wait until it answers."""
        self.stop()
        return self.start().wait()

    def remove(self) -> None:
        """Stop it and delete its folder, data and all."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    # Parts of the above

    def _format(self, tool: list[str]) -> None:
        cluster = self._seat.cluster if self._seat else new_cluster_id()
        done = subprocess.run(  # noqa: S603 - our own command
            # Option and identifier in one word, since the identifier may begin with a dash.
            [
                *tool,
                "format",
                "--ignore-formatted",
                f"--cluster-id={cluster}",
                f"--config={self._home.properties}",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise LocalKafkaError(
                f"Kafka could not prepare {self._home.data}: {(done.stderr or done.stdout).strip()[-2000:]}\n"
                f"If {self.folder} was made by another version, delete it and start again."
            )

    def _ports(self) -> tuple[int, int]:
        """The saved ports as long as they fit, else free ones."""
        saved = self._home.saved()
        if self._seat:
            ports = (self._seat.port, self._seat.controllers[self._seat.number - 1])
        elif saved is not None and self._wanted_port in (0, saved.port):
            ports = (saved.port, saved.controller_port)
        elif self._wanted_port:
            ports = (self._wanted_port, config.free_ports(1)[0])
        else:
            first, second = config.free_ports(2)
            ports = (first, second)
        if self.pid is None:
            for port in ports:
                if not config.is_free(port):
                    raise LocalKafkaError(
                        f"Port {port} of {config.HOST} is taken by another program. Stop that one, or name another "
                        f"port, or delete {self._home.state} to have others chosen."
                    )
        return ports

    def _forget(self) -> None:
        if (saved := self._home.saved()) is not None:
            self._home.save(SavedBroker(0, saved.port, saved.controller_port))
        if self._child is not None and self._child.poll() is not None:
            self._child = None

    def _running(self) -> int:
        if (pid := self.pid) is None:
            raise LocalKafkaError(f"The broker in {self.folder} is not running: call start() first.")
        return pid
