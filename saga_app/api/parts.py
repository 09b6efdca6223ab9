"""The parts of one API process, which all routes share."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from saga_app.api.access import TokenRules
from saga_app.api.placing import OrderDesk
from saga_app.client.outcomes import OutcomeFollower
from saga_app.client.publisher import Publisher
from saga_app.effects.configured import configured
from saga_app.effects.ports import Provider
from saga_app.health.read import HealthWatch
from saga_app.kafka.reachable import require_broker
from saga_app.orderdb.serving import OrderDatabase
from saga_app.settings import Settings

#: Requests at the same time that read Kafka: rules in force, replays.
MOST_KAFKA_REQUESTS: Final = 2
#: Events of providers that are asked about at once. A provider sends the others again.
MOST_EVENTS: Final = 16
Result = TypeVar("Result")


@dataclass
class Parts:
    """Made once for each process; `stops` becomes true when it is about to end."""

    settings: Settings
    publisher: Publisher
    outcomes: OutcomeFollower
    database: OrderDatabase
    health: HealthWatch
    desk: OrderDesk
    rules: TokenRules
    providers: Mapping[str, Provider] = field(default_factory=dict)
    stops: bool = False
    #: Free places for events of providers that are asked about.
    events: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_EVENTS))
    _threads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_KAFKA_REQUESTS))

    @classmethod
    def of(cls, settings: Settings) -> "Parts":
        """The parts of a real process. Nothing is connected yet."""
        publisher, outcomes = Publisher(settings), OutcomeFollower(settings)
        database = OrderDatabase(settings)
        return cls(
            settings,
            publisher,
            outcomes,
            database,
            HealthWatch(settings),
            OrderDesk(settings, publisher, outcomes, database),
            TokenRules(settings),
            configured(settings),
        )

    async def kafka(self, work: Callable[..., Result], *args: Any, **options: Any) -> Result:
        """Runs work that blocks, in a thread. Raises `BrokerUnreachable` at once if no broker takes a connection."""

        def run() -> Result:
            require_broker(self.settings)
            return work(*args, **options)

        async with self._threads:
            return await asyncio.to_thread(run)
