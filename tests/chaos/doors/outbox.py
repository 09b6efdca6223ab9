"""`saga outbox` under faults: a shop writes orders into its outbox table, in a PostgreSQL that stays."""

from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from harness.log import BrokerOffsets, everything, parsed
from harness.orders import orders
from harness.postgres import server
from saga_app import topics
from saga_app.outbox import process
from tests.chaos.doors.door import ChaosDoor
from tests.chaos.watch import PREFIX, OrderWatch
from tests.outbox.shop import TABLE, BusyShop, ShopDatabase

OUTBOX_ORDERS: Final = f"{PREFIX}outbox-"
#: Seconds of a clerk between two orders.
PAUSE: Final = 1.0
_MOST: Final = 1_000_000


class OutboxDoor(ChaosDoor):
    """The relay of the table."""

    name = "outbox"
    promise = ("D2", "the outbox")

    def __init__(
        self, folder: Path, log: BrokerOffsets, watch: OrderWatch, seed: str, settings: dict[str, str]
    ) -> None:
        self._running = ExitStack()
        url = self._running.enter_context(contextmanager(server)()).create("shop")
        process.create(url, TABLE)
        self._shop = self._running.enter_context(ShopDatabase(url))
        self._till = BusyShop(self._shop, orders(_MOST, len(seed), OUTBOX_ORDERS[:-1]), PAUSE)
        super().__init__(folder, log, watch, ["outbox"], {**settings, "SAGA_OUTBOX_URL": url})

    @property
    def done(self) -> int:
        return len(self._till.placed & self.watch.placed_at.keys())

    @property
    def is_busy(self) -> bool:
        return self.done < len(self._till.placed)

    @property
    def is_quiet(self) -> bool:
        return self._till.placed <= self.watch.ended.keys() and not self._shop.ids()

    def breaches(self) -> list[str]:
        """Of each committed row its record is there, behind those of the same order before it; of no other row."""
        placed, cancelled, found = set[str](), set[str](), list[str]()
        for record in self._records():
            order = str(record.get("order_id"))
            if not order.startswith(OUTBOX_ORDERS):
                continue
            if record.get("type") == "OrderPlaced":
                placed.add(order)
            elif record.get("type") == "CancellationRequested":
                cancelled.add(order)
                if order not in placed:
                    found.append(f"the cancellation of {order} has overtaken its order")
        for what, there, wanted in (
            ("order", placed, self._till.placed),
            ("cancellation of", cancelled, self._till.cancelled),
        ):
            found += [f"{what} {each} was committed and not relayed" for each in sorted(wanted - there)]
            found += [f"{what} {each} was never committed" for each in sorted(there - wanted)]
        found += [f"{each} has not ended" for each in sorted(placed - self.watch.ended.keys())]
        return found + [f"row {each} is still in the table" for each in self._shop.ids()]

    def open(self) -> None:
        self._till.__enter__()

    def close_load(self) -> None:
        self._till.close()

    def close(self) -> None:
        super().close()
        self._till.close()
        self._running.close()

    def _records(self) -> list[dict[str, Any]]:
        messages = everything(self.log.broker, topics.CHECKOUT, topics.DEFAULT_PARTITIONS)
        return [parsed(message.value()) for message in messages]
