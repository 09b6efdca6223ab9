"""The API over a filled order database, with a broker and endings that a test gives."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from starlette.testclient import TestClient

from saga_app import topics
from saga_app.api.access import TokenRules
from saga_app.api.app import create_app
from saga_app.api.parts import Parts
from saga_app.api.placing import OrderDesk
from saga_app.client.outcomes import OutcomeFollower, SeenOrder
from saga_app.client.publisher import Publisher
from saga_app.client.results import OrderEnding, Refusal
from saga_app.core.errors import Fault
from saga_app.core.records import OrderPlaced, Record
from saga_app.core.rows import Status
from saga_app.dead_letters.format import LetterId
from saga_app.kafka.messages import Header
from saga_app.kafka.sender import Sent
from saga_app.orderdb.serving import OrderDatabase
from saga_app.settings import Settings
from tests.web.shop import GivenHealth

#: The address at which the tests ask.
URL = "http://127.0.0.1:6080"
#: An order, as a shop sends it.
ORDER = {"order_id": "new-1", "amount": "25.00", "customer_id": "ada"}


class GivenBroker(Publisher):
    """Takes every record, or fails as a test says; `then` is called with each place."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.taken: list[tuple[Record, str, list[Header]]] = []
        self.fails: Exception | None = None
        self.then: Callable[[Record, Sent], None] = lambda record, sent: None
        self.hears: Callable[[Record], None] = lambda record: None

    async def send(self, record: Record, *, actor: str = "", headers: Any = ()) -> Sent:
        if self.fails is not None:
            raise self.fails
        self.taken.append((record, actor, list(headers)))
        self.hears(record)
        sent = Sent(topics.topic_of(record), 0, 100 + len(self.taken))
        self.then(record, sent)
        return sent


class GivenOutcomes(OutcomeFollower):
    """Hears what a test says."""

    def start(self, copied: Mapping[Any, int] | None = None) -> None:
        self.fault = ""

    def see(self, record: Record) -> None:
        """The record is read back, as every one in checkout's inbox is."""
        if isinstance(record, OrderPlaced):
            self.take([SeenOrder(record.order_id, record.order.digest)])

    def end(self, order_id: str, status: Status = Status.COMPLETED, at: int = 1_700_000_000_000) -> None:
        """The order ends."""
        self.take([(OrderEnding(order_id, status, at), 7)])

    def refuse(self, sent: Sent, fault: Fault) -> None:
        """The record at this place becomes a dead letter."""
        self.take([Refusal(LetterId(*sent), fault, "as the test says")])

    async def close(self) -> None:
        pass


class Door:
    """One API. `ask` is what a shop's program does."""

    def __init__(self, settings: Settings) -> None:
        self.broker, self.outcomes = GivenBroker(settings), GivenOutcomes(settings)
        self.broker.hears = self.outcomes.see
        database = OrderDatabase(settings)
        self.desk = OrderDesk(settings, self.broker, self.outcomes, database)
        self.health = GivenHealth(settings)
        self.parts = Parts(
            settings,
            self.broker,
            self.outcomes,
            database,
            self.health,
            self.desk,
            TokenRules(settings),
        )
        self.app = create_app(self.parts)
        self.client = TestClient(self.app, base_url=URL, raise_server_exceptions=False)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """One request; `_` in the name of a header is written as `-`."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is None:
            return self.client.request(method, path, headers=given)
        content = body if isinstance(body, bytes | str) else json.dumps(body)
        given.setdefault("Content-Type", "application/json")
        return self.client.request(method, path, content=content, headers=given)

    def place(self, body: Any = ORDER, **headers: str) -> Any:
        return self.ask("POST", "/v1/orders", body, **headers)

    def ends_at_once(self, status: Status = Status.COMPLETED) -> None:
        """Every order ends a moment after it was placed."""

        def end(record: Record, sent: Sent) -> None:
            loop = asyncio.get_running_loop()
            loop.call_later(0.01, self.outcomes.end, record.order_id, status)  # type: ignore[union-attr]

        self.broker.then = end


@contextmanager
def opened(settings: Settings, **changed: Any) -> Iterator[Door]:
    """An API with these settings that has started."""
    # No broker is there, whatever else runs on this machine.
    door = Door(replace(settings, broker="127.0.0.1:1", **changed))
    with door.client:
        yield door
