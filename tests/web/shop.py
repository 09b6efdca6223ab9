"""A filled order database for tests of pages, and the worker's web server in front of it."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from aiohttp import web

from harness.ports import free_port
from saga_app import topics, wire
from saga_app.core.records import CancellationRequested
from saga_app.health.read import HealthWatch
from saga_app.health.readings import Readings
from saga_app.kafka.headers import ACTOR
from saga_app.settings import Settings
from saga_app.web import routes
from saga_app.web.connections import BoundedRunner
from tests.orderdb.batches import FakeMessage, OrderCopy
from tests.orderdb.services import Services
from tests.support.examples import cancel, completed, delivery, deposit, placed
from tests.support.given import BEGINNING
from tests.support.health import all_well

MUGS = [{"sku": "MUG", "quantity": 2}]


class FilledShop:
    """Records are sent, decided and copied at once, in a thread: Playwright has a loop in this one."""

    def __init__(self, url: str, beginning: int = BEGINNING) -> None:
        self.settings = Settings(db_url=url)
        self._thread = ThreadPoolExecutor(1)
        self._database = self._thread.submit(OrderCopy, url).result()
        self.services = Services()
        self.services.set_clock(beginning)
        self._beginning = beginning

    def send(self, *records: Any, silent: str = "") -> None:
        """All that follows is copied; the inbox `silent` decides nothing."""
        self.services.silent = {silent}
        self.write(*self.services.send(*records))

    def write(self, *messages: FakeMessage) -> None:
        """These were copied."""
        self._thread.submit(self._database.write, *messages).result()

    def fill(self) -> None:
        """Some of everything."""
        self.send(
            deposit("d1", "5000.00", "ada"), delivery("v1", MUG=1000, CUP=5), delivery("v2", "north", MUG=3)
        )
        for number in range(30):
            self.send(placed(f"o-{number}", lines=MUGS, customer_id="ada", amount="10.00"))
        self.send(placed("sold-out", lines=[{"sku": "CUP", "quantity": 9}], customer_id="ada"))
        self.send(placed("undelivered", lines=MUGS, customer_id="ada", country="KP"))
        self.send(cancel("o-3"), completed("nobody"))
        prices = [
            {"sku": "MUG", "quantity": 2, "unit_price": "12.50"},
            {"sku": "CUP", "quantity": 1, "unit_price": "4.90"},
        ]
        self.send(placed("priced", "29.90", lines=prices, customer_id="ada"))
        self.send(placed("waiting", lines=MUGS, customer_id="ada"), silent="shipping_events")
        headers = [(ACTOR, b"ada@laptop")]
        again = wire.encode(CancellationRequested(order_id="o-3", note="it was wrong"))
        self.write(FakeMessage(topics.CHECKOUT, 90_001, again, b"o-3", self._beginning + 300_000, headers))

    def close(self) -> None:
        self._thread.submit(self._database.close).result()
        self._thread.shutdown()


class GivenHealth(HealthWatch):
    """The readings that a test gives; it asks nobody."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.given: Callable[[], Readings | None] = lambda: all_well(settings)

    def latest(self) -> Readings | None:
        self._latest = self.given()
        return self._latest


class PageServer:
    """A web server in a thread of its own, as a worker has it."""

    def __init__(self, settings: Settings, *, has_tables: bool = True) -> None:
        self.settings = settings
        self.health = GivenHealth(settings)
        self.has_tables = has_tables
        self.stops = False
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thawed = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(10), "the server did not start"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.web_port}"

    def freeze(self) -> None:
        """The server keeps its connections and says nothing, as a process that was stopped."""
        self._thawed.clear()
        self._loop.call_soon_threadsafe(self._thawed.wait)

    def thaw(self) -> None:
        """The server goes on."""
        self._thawed.set()

    def close(self) -> None:
        """As a worker that stops."""
        self.thaw()
        self.stops = True
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        application = web.Application()
        self.rules = routes.attach(
            application, self.settings, lambda: self.stops, self.health, has_tables=self.has_tables
        )
        runner = BoundedRunner(application)
        self._loop.run_until_complete(runner.setup())
        where = web.TCPSite(runner, "127.0.0.1", self.settings.web_port)
        self._loop.run_until_complete(where.start())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()


@contextmanager
def served(settings: Settings, *, has_tables: bool = True, **changed: Any) -> Iterator[PageServer]:
    """The pages of these settings on a port of their own."""
    server = PageServer(replace(settings, web_port_text=str(free_port()), **changed), has_tables=has_tables)
    try:
        yield server
    finally:
        server.close()
