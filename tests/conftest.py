"""Fixtures that all tests of a process share: one real broker, from the first test that needs it to the end."""

import gc
import os
import shutil
import signal
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import NoReturn

import pytest
from xdist.remote import Producer

from saga_app.engine import exits
from saga_app.local.broker import Broker
from saga_app.local.process import command_line
from tests.support import class_archive
from tests.support.brokers import BROKERS
from tests.support.schedule import Units, longest_first

#: Fixtures behind which there is a broker.
BROKERS_OF_TESTS = frozenset({"kafka", "own_kafka", "_filled", "guarded", "cluster", "running"})
#: For brokers that live for seconds: Java compiles their code once only, and a start costs a third less.
JAVA_OPTIONS = "-XX:TieredStopAtLevel=1"


def pytest_configure(config: pytest.Config) -> None:
    """A shell starts what runs in the background with SIGINT ignored, and so would all be that tests start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if "JDK_JAVA_OPTIONS" not in os.environ:
        archive = class_archive.archive()
        if archive is not None and not archive.exists() and config.getoption("numprocesses", None):
            os.environ["JDK_JAVA_OPTIONS"] = JAVA_OPTIONS
            class_archive.make(archive)
        shared = f" -XX:SharedArchiveFile={archive}" if archive is not None and archive.exists() else ""
        os.environ["JDK_JAVA_OPTIONS"] = f"{JAVA_OPTIONS}{shared}"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Units:
    """How tests are dealt out to the processes of a parallel run."""
    return Units(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A parallel run begins with what takes longest; any other run keeps the order of the files."""
    for item in items:
        if BROKERS_OF_TESTS.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("live")
    if "PYTEST_XDIST_WORKER" in os.environ:
        items[:] = longest_first(items)


def pytest_sessionstart() -> None:
    """Stop the brokers of test runs that were killed before they could do it themselves."""
    for folder in BROKERS.glob("*"):
        pid = folder.name.partition("-")[0]
        if pid.isdigit() and command_line(int(pid)) is None:
            # Another run that starts now may be quicker.
            with suppress(FileNotFoundError):
                for state in folder.rglob("broker.json"):
                    Broker(state.parent).remove()
            shutil.rmtree(folder, ignore_errors=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With SAGA_TEST_SKIPS=fail whatever a test misses on this machine is a failure."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("SAGA_TEST_SKIPS") == "fail":
        report.outcome = "failed"
    return report


@pytest.fixture(autouse=True)
def _the_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A `Fatal` that a test does not expect would end the whole run, without a word: it fails the test instead."""

    def end(ended: exits.Fatal) -> NoReturn:
        raise AssertionError(str(ended))

    monkeypatch.setattr(exits, "_end", end)


@pytest.fixture(scope="session")
def kafka() -> Iterator[Broker]:
    """A running local Kafka, empty at the start of the run; `kafka.address` is for clients.

    All tests of a run share it, so each uses topics and groups of its own. A test that stops or kills it starts
    it again, or makes its own `Broker(tmp_path)`.
    """
    broker = Broker(BROKERS / str(os.getpid()))
    try:
        yield broker.start().wait()
    finally:
        # Clients that nobody has would look for the broker, and say so, for as long as other processes run tests.
        gc.collect()
        broker.remove()
