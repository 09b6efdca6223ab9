"""The engines for callers who wait: this project, and engines that journal each step on a server of their own."""

import json
import os
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from bench import candidates, environments
from bench.callers import ByApi, ByHttp, ByKafka
from bench.candidates import Launch
from bench.environments import HOME, ROOT, NotToBeHad, Say
from bench.process import Process, ProcessFailed
from bench.quiet import QuietGate
from bench.trial import CandidateRun
from harness.postgres import MISSING, binaries, server
from harness.worker import environment
from saga_app.local.broker import Broker
from saga_app.local.config import free_ports
from saga_app.local.process import until

#: Seconds in which a server must answer.
READY_WITHIN: Final = 60.0
#: Where PostgreSQL's user can write, on a disk: /tmp may be memory.
DISK: Final = "/var/tmp"
SAGA: Final = str(Path(sys.executable).with_name("saga"))


@dataclass(frozen=True, slots=True)
class RunningEngine:
    """The first process of the server, the processes of the saga's programs, and its callers."""

    server: int
    programs: tuple[int, ...]
    callers: ByHttp | ByKafka


@dataclass(frozen=True, slots=True)
class WorkflowEngine:
    """An engine for callers who wait. `durable` says in half a line what is on disk when a caller hears of the end."""

    name: str
    label: str
    durable: str
    #: From start to stop; `NotToBeHad` if it cannot be installed here.
    run: Callable[[Say], AbstractContextManager[RunningEngine]]


@contextmanager
def ours(fsync: bool, say: Say, *, over_http: bool = False) -> Iterator[RunningEngine]:
    """One worker, and a broker that waits for the disk after each batch or, as is Kafka's default, does not.

    Over HTTP there are a `saga api` and the order database too.
    """
    name = f"engines-ours{'-fsync' * fsync}{'-http' * over_http}"
    adapt: Callable[[dict[str, str]], dict[str, str]] = (
        (lambda told: {**told, "log.flush.interval.messages": "1"}) if fsync else dict
    )
    broker = Broker(HOME / "data" / f"{name}-kafka", adapt=adapt, say=say)
    try:
        broker.start().wait()
        life = CandidateRun(
            candidates.chosen(["ours"])[0], candidates.ours(say), broker, name, QuietGate(say, 0)
        )
        try:
            life.ready()
            assert broker.pid is not None, "the broker has ended"
            if not over_http:
                yield RunningEngine(broker.pid, (life.pids[0],), ByKafka(broker.address))
                return
            with _door(broker.address, name) as (copy, api, url):
                yield RunningEngine(broker.pid, (life.pids[0], copy.pid, api.pid), ByApi(broker.address, url))
        finally:
            life.close()
            # Its producer would complain of the broker's end.
            del life
    finally:
        broker.remove()


@contextmanager
def _door(broker: str, app_id: str) -> Iterator[tuple[Process, Process, str]]:
    """The copy into an order database, `saga api`, and its address."""
    web, port = free_ports(2)
    folder = HOME / "data" / app_id
    told = {"SAGA_APP_ID": app_id, "SAGA_DB_URL": f"sqlite:///{folder}/orders.db", "SAGA_API_PORT": str(port)}
    env = environment(broker, folder / "door", web, **told)
    with (
        _process("orderdb", Launch([SAGA, "orderdb", "run"], env)) as copy,
        _process("api", Launch([SAGA, "api"], env)) as api,
    ):
        url = f"http://127.0.0.1:{port}"
        answers(api, f"{url}/readyz")
        yield copy, api, url


@contextmanager
def restate(say: Say) -> Iterator[RunningEngine]:
    """Its server from npm with its own settings, but on loopback, and the services in one process."""
    python = environments.python("restate", say)
    # Started without its wrapper in JavaScript, whose process would be the one that is measured.
    binary = (
        environments.npm("restate", f"@restatedev/restate-server-{_system()}", say) / "bin" / "restate-server"
    )
    node, ingress, admin, service = free_ports(4)
    data = HOME / "data" / "engines-restate"
    shutil.rmtree(data, ignore_errors=True)
    told = {
        "RESTATE_BASE_DIR": str(data),
        "RESTATE_NODE_NAME": "bench",
        "RESTATE_LISTEN_MODE": "tcp",
        "RESTATE_BIND_IP": "127.0.0.1",
        "RESTATE_BIND_PORT": str(node),
        "RESTATE_INGRESS__BIND_PORT": str(ingress),
        "RESTATE_ADMIN__BIND_PORT": str(admin),
        "RESTATE_DISABLE_TELEMETRY": "true",
    }
    # The server ends first: it holds connections that the services would wait for.
    with (
        _process("restate", _program(python, "restate", BENCH_PORT=str(service))) as program,
        _process("restate-server", Launch([str(binary), "--no-logo"], {**os.environ, **told})) as first,
    ):
        answers(first, f"http://127.0.0.1:{admin}/health")
        answers(program, f"http://127.0.0.1:{service}/health")
        answers(first, f"http://127.0.0.1:{admin}/deployments", {"uri": f"http://127.0.0.1:{service}"})
        yield RunningEngine(first.pid, (program.pid,), ByHttp(f"http://127.0.0.1:{ingress}"))


@contextmanager
def dbos(say: Say) -> Iterator[RunningEngine]:
    """The store manager in a web server's process, and a PostgreSQL with its own settings."""
    python = environments.python("dbos", say)
    if binaries() is None:
        raise NotToBeHad(MISSING)
    port = free_ports(1)[0]
    local = {"listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
    with contextmanager(server)(local, DISK) as postgres:
        launch = _program(python, "dbos", BENCH_PORT=str(port), BENCH_DATABASE=postgres.create("checkout"))
        with _process("dbos", launch) as program:
            answers(program, f"http://127.0.0.1:{port}/openapi.json")
            yield RunningEngine(postgres.pid, (program.pid,), ByHttp(f"http://127.0.0.1:{port}"))


def _system() -> str:
    machine = os.uname()
    return f"{machine.sysname.lower()}-{'arm64' if machine.machine in ('aarch64', 'arm64') else 'x64'}"


def _program(python: str, peer: str, **told: str) -> Launch:
    return Launch([python, "-m", f"bench.peers.{peer}"], {**os.environ, "PYTHONPATH": str(ROOT), **told})


@contextmanager
def _process(name: str, launch: Launch) -> Iterator[Process]:
    folder = HOME / "data" / "engines-logs"
    folder.mkdir(parents=True, exist_ok=True)
    process = Process(launch, folder / f"{name}.log")
    try:
        yield process
    finally:
        process.stop()


def answers(process: Process, url: str, said: Any = None) -> None:
    """Until this address answers with success. Raises ProcessFailed with the last words of the process."""
    body = None if said is None else json.dumps(said).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    # A proxy has no business with loopback.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    why = ""

    def asked() -> bool:
        nonlocal why
        process.check()
        try:
            direct.open(request, timeout=10).close()
        except urllib.error.HTTPError as error:
            why = f"{error.code} {error.read().decode()[:300]}"
            return False
        except OSError as error:
            why = str(error)
            return False
        return True

    if not until(asked, READY_WITHIN):
        raise ProcessFailed(f"{url} does not answer ({why}): {process.last_words()}")


ALL: Final = (
    WorkflowEngine(
        "ours",
        "this project",
        "the broker has the ending and all before it, in memory of the system: Kafka's default",
        partial(ours, False),
    ),
    WorkflowEngine(
        "ours-fsync",
        "this project, broker with fsync",
        "the same, on the disk: log.flush.interval.messages=1",
        partial(ours, True),
    ),
    WorkflowEngine(
        "ours-http",
        "this project, over HTTP",
        "as the first one; the callers ask `saga api`",
        partial(ours, False, over_http=True),
    ),
    WorkflowEngine("restate", "Restate", "each step in the server's log, on the disk: its default", restate),
    WorkflowEngine("dbos", "DBOS", "each step and its rows in PostgreSQL, on the disk: its default", dbos),
)
