"""The candidates: how each is started and configured, and what it guarantees."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import tables
from bench import environments
from bench.environments import ROOT, Say
from bench.peers.place import Place
from harness.ports import free_port
from harness.worker import FAUST, READY, environment


class Launch(NamedTuple):
    """One process: what is run, and with which variables."""

    command: Sequence[str]
    variables: dict[str, str]


@dataclass(frozen=True, slots=True)
class Candidate:
    """`promise` is what becomes of an order's effects in a crash, in half a line."""

    name: str
    label: str
    promise: str
    #: Makes its environment and says how its processes are started; `NotToBeHad` if that is not possible here.
    install: Callable[[Say], Callable[[Place], Launch]]
    workers: int = 1
    #: It gets a tenth of the orders, or the others would wait for it all the time.
    slow: bool = False
    #: Tables whose changelogs must be there before it starts.
    tables: tuple[str, ...] = ()
    #: What a process logs when it has its partitions; empty where the first ending says it.
    ready: str = ""

    @property
    def is_ours(self) -> bool:
        """True if its topics are those of this project."""
        return self.install is ours


def ours(_: Say) -> Callable[[Place], Launch]:
    """Plain `faust worker`, with the settings that everybody has."""

    def launch(here: Place) -> Launch:
        partitions = {"SAGA_APP_ID": here.group, "SAGA_PARTITIONS": str(here.partitions)}
        return Launch(
            [FAUST, "-A", "saga_app", "worker", "-l", "info"],
            environment(here.broker, ROOT / here.data, free_port(), **partitions),
        )

    return launch


def floor(_: Say) -> Callable[[Place], Launch]:
    """Runs with our own packages."""
    return _peer(sys.executable, "floor")


def faust(say: Say) -> Callable[[Place], Launch]:
    """Its documentation's advice: uvloop."""
    return _peer(
        environments.python("stock_faust", say), "stock_faust", "-L", "uvloop", "worker", "-l", "warn"
    )


def quix(guarantee: str) -> Callable[[Say], Callable[[Place], Launch]]:
    """With this `processing_guarantee`."""
    return lambda say: _peer(environments.python("quix", say), "quix", BENCH_GUARANTEE=guarantee)


def streams(**properties: str) -> Callable[[Say], Callable[[Place], Launch]]:
    """With these properties beside those that every run needs; `__` stands for a dot."""

    def install(say: Say) -> Callable[[Place], Launch]:
        command = environments.streams(say)

        def launch(here: Place) -> Launch:
            told = {
                "application.id": here.group,
                "bootstrap.servers": here.broker,
                "state.dir": here.data,
                # Its own default of 100 ms adds 100 ms to each step of the saga.
                "producer.linger.ms": "5",
                **{name.replace("__", "."): value for name, value in properties.items()},
            }
            quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
            return Launch(
                [command[0], quiet, *command[1:], *(f"{k}={v}" for k, v in told.items())], dict(os.environ)
            )

        return launch

    return install


def _peer(python: str, module: str, *words: str, **more: str) -> Callable[[Place], Launch]:
    def launch(here: Place) -> Launch:
        told = {f"BENCH_{name.upper()}": str(value) for name, value in here._asdict().items()}
        variables = {**os.environ, "PYTHONPATH": str(ROOT), **told, **more}
        return Launch([python, "-m", f"bench.peers.{module}", *words], variables)

    return launch


_OURS: Final = "every decision journalled before it is published; effects once, whatever crashes"
_TABLES: Final = tuple(table.name for table in tables.ALL)

ALL: Final = (
    Candidate(
        "ours",
        "this project, one worker",
        _OURS,
        ours,
        tables=_TABLES,
        ready=READY,
    ),
    Candidate(
        "ours-2",
        "this project, two workers",
        _OURS,
        ours,
        workers=2,
        tables=_TABLES,
        ready=READY,
    ),
    Candidate(
        "floor",
        "plain confluent-kafka loop (floor)",
        "none: a crash loses and repeats effects",
        floor,
        tables=("rows",),
    ),
    Candidate(
        "quix",
        "Quix Streams 3.28.1",
        "at-least-once: a crash can repeat effects",
        quix("at-least-once"),
    ),
    Candidate(
        "quix-eos",
        "Quix Streams 3.28.1, exactly-once",
        "outputs and offsets in transactions",
        quix("exactly-once"),
    ),
    Candidate(
        "streams",
        "Kafka Streams 4.4.0, at-least-once",
        "at-least-once: a crash can repeat effects",
        streams(commit__interval__ms="1000"),
    ),
    Candidate(
        "streams-eos",
        "Kafka Streams 4.4.0, exactly-once-v2",
        "state, outputs and offsets in one transaction; effects once",
        streams(processing__guarantee="exactly_once_v2"),
    ),
    Candidate(
        "faust",
        "stock Faust 0.15.3",
        "at-least-once, but records are lost at starts and rebalances",
        faust,
        slow=True,
        tables=_TABLES,
    ),
)
#: Not among those that run when nobody chooses.
EXTRA: Final = ("quix-eos",)


def chosen(names: Sequence[str]) -> list[Candidate]:
    """The candidates with these names, or the usual ones. `ValueError` names one that is unknown."""
    known = {each.name: each for each in ALL}
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"no candidate is called {unknown[0]!r}; there are {', '.join(known)}")
    return [known[name] for name in names] if names else [each for each in ALL if each.name not in EXTRA]
