"""Pages and commands say what does not work, within seconds: workers, the copy, the broker."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from harness.copies import CopyProcess
from harness.log import until
from harness.ports import free_port
from harness.process import ROOT
from harness.scene import Scene
from harness.worker import environment
from saga_app import topics
from saga_app.local.broker import Broker
from saga_app.settings import Settings
from tests.web.asking import ask

PATHS = ("/", "/orders/", "/orders/4711/", "/accounts/", "/dead-letters/", "/topology/")
COMMANDS = (("orders",), ("order", "4711"), ("accounts",), ("stock",))


class WatchedSystem:
    """A worker, the copying process, and the pages as a process of their own."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.db = f"sqlite:///{scene.folder}/orders.db"
        self.settings = Settings(broker=scene.broker, app_id=scene.app_id, db_url=self.db)
        self.worker = scene.worker("w1", SAGA_DB_URL=self.db).start()
        self.copier = CopyProcess(self.settings, scene.folder / "orderdb.log").start()
        self.port = free_port()
        self.environment = environment(
            scene.broker, scene.folder / "pages", self.port, SAGA_APP_ID=scene.app_id, SAGA_DB_URL=self.db
        )

    @contextmanager
    def pages(self) -> Iterator[None]:
        """`saga pages`, ended by its own pid."""
        with (self.scene.folder / "pages.log").open("wb") as log:
            process = subprocess.Popen(
                [_saga(), "pages"], env=self.environment, cwd=ROOT, stdout=log, stderr=log
            )
        try:
            until(self._answers, 30, lambda: (self.scene.folder / "pages.log").read_text())
            yield
        finally:
            process.terminate()
            assert process.wait(20) == 0

    def _answers(self) -> bool:
        try:
            return ask(self.url, "/livez").status == 200
        except OSError:
            return False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """One command, to its end."""
        return subprocess.run(
            [_saga(), *words],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def says(self, words: str, since: float) -> dict[str, float]:
        """Waits until each page and each command says so; the seconds since then, for each."""
        took: dict[str, float] = {}
        for path in PATHS:
            end = time.monotonic() + 40
            while words not in (page := self._page(path)):
                assert time.monotonic() < end, page
                time.sleep(0.1)
            took[path] = time.monotonic() - since
        for command in COMMANDS:
            told = self.run(*command)
            assert words in told.stderr, told
            took["saga " + " ".join(command)] = time.monotonic() - since
        doctor = self.run("doctor")
        took["saga doctor"] = time.monotonic() - since
        assert doctor.returncode == 1, doctor
        # Of a broker the doctor says why it does not answer.
        expected = "PROBLEM  broker: " if words.startswith("Kafka") else words
        assert expected in doctor.stdout, doctor
        print(words, {name: f"{seconds:.1f} s" for name, seconds in took.items()})
        return took

    def _page(self, path: str) -> str:
        return ask(self.url, path).text

    def until_well(self) -> None:
        """Waits until the strip has no trouble; a worker that ended meanwhile is started again, as by a supervisor."""
        if self.worker.code is not None:
            self.worker.start()
        until(lambda: 'data-level="well"' in self._page("/orders/"), 60, lambda: self._page("/orders/"))


def _saga() -> str:
    return str(Path(sys.executable).with_name("saga"))


def order(order_id: str) -> bytes:
    return json.dumps({"order_id": order_id, "amount": "10.00"}).encode()


@pytest.mark.slow("a worker, a copy and pages, of which one after the other goes away, and the broker last")
def test_pages_and_commands_say_what_does_not_work(scene: Scene, kafka: Broker) -> None:
    """The pages are there when all workers are gone, and an order that nobody has taken is an open one."""
    system = WatchedSystem(scene)
    with closing(system.copier), system.pages():
        scene.shop.raw(topics.CHECKOUT, order("4711"), b"4711")
        until(lambda: "Completed" in ask(system.url, "/orders/4711/").text, 60, lambda: "not completed")
        system.until_well()
        told = system.run("orders", "--json")
        assert (told.returncode, told.stderr) == (0, ""), told
        assert "Only workers have the tables" in ask(system.url, "/table/orders/4711/").text

        assert system.worker.end() == 0
        stopped = time.monotonic()
        scene.shop.raw(topics.CHECKOUT, order("4712"), b"4712")
        system.says("no worker runs", stopped)
        assert "no worker has taken it yet" in ask(system.url, "/orders/4712/").text
        listed = system.run("orders", "--state", "PLACED", "--json")
        assert [json.loads(line)["order_id"] for line in listed.stdout.splitlines()] == ["4712"]
        until(
            lambda: "4712" in system.run("orders", "--late").stdout, 60, lambda: system.run("orders").stdout
        )
        assert "checkout_events: 1 not taken, the oldest for" in system.run("orders").stderr

        system.worker.start().ready()
        until(lambda: "Completed" in ask(system.url, "/orders/4712/").text, 60, lambda: "not completed")
        system.until_well()
        assert json.loads(system.run("orders", "--count", "--json").stdout)["state"] == "COMPLETED"

        system.copier.kill()
        system.says("nobody copies to the order database", time.monotonic())
        system.copier.start()
        system.until_well()

        kafka.pause()
        try:
            system.says("Kafka does not answer", time.monotonic())
        finally:
            kafka.resume()
        system.until_well()
        kafka.stop()
        try:
            system.says("Kafka does not answer", time.monotonic())
        finally:
            kafka.start().wait()
