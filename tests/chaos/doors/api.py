"""`saga api` under faults: callers place orders and cancel some, each again until there is an answer."""

import asyncio
import random
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import aiohttp

from harness.log import BrokerOffsets
from harness.orders import Sent, orders
from harness.ports import free_port
from tests.chaos.doors.door import ChaosDoor
from tests.chaos.watch import PREFIX, OrderWatch

API_ORDERS: Final = f"{PREFIX}api-"
#: Half of the callers wait for the ending of each order.
CALLERS: Final = 8
#: Seconds of a caller between two orders, and until the same is asked again.
PAUSE: Final = 1.0
AGAIN: Final = 0.2
#: Share of the orders that are cancelled at once.
CANCELLED: Final = 0.1
_LONGEST: Final = aiohttp.ClientTimeout(40)
_MOST: Final = 1_000_000


class ApiDoor(ChaosDoor):
    """`said` has the ending that the API told of each order that it acknowledged; empty if it told none."""

    name = "api"
    promise = ("D1", "the API's word")

    def __init__(
        self, folder: Path, log: BrokerOffsets, watch: OrderWatch, seed: str, settings: dict[str, str]
    ) -> None:
        port = free_port()
        own = {
            "SAGA_API_PORT": str(port),
            # Nobody copies: endings come from the topic alone.
            "SAGA_DB_URL": f"sqlite:///{folder}/nobody-copies.db",
            "SAGA_OPERATOR_LOG": str(folder / "operators.log"),
        }
        super().__init__(folder, log, watch, ["api"], {**settings, **own})
        self.said: dict[str, str] = {}
        self._asked: set[str] = set()
        self._url = f"http://127.0.0.1:{port}/v1/orders"
        self._chance = random.Random(f"api {seed}")
        self._orders = orders(_MOST, self._chance.randrange(2**32), API_ORDERS[:-1])
        self._takes_no_more = self._is_closed = False
        self._thread = threading.Thread(target=lambda: asyncio.run(self._call()), daemon=True)

    @property
    def done(self) -> int:
        return len(self.said)

    @property
    def is_busy(self) -> bool:
        return bool(self._asked)

    @property
    def is_quiet(self) -> bool:
        return not self._thread.is_alive() and self.said.keys() <= self.watch.ended.keys()

    def breaches(self) -> list[str]:
        ended = self.watch.ended
        return [
            f"order {order}: the API said {told or 'that it is accepted'}, it ended {ended.get(order, 'never')}"
            for order, told in self.said.items()
            if order not in ended or told not in ("", ended[order])
        ]

    def open(self) -> None:
        self._thread.start()

    def close_load(self) -> None:
        self._takes_no_more = True

    def close(self) -> None:
        self._takes_no_more = self._is_closed = True
        super().close()
        if self._thread.is_alive():
            self._thread.join(60)

    async def _call(self) -> None:
        async with aiohttp.ClientSession(timeout=_LONGEST) as session:
            await asyncio.gather(*(self._caller(session, number % 2 * 30) for number in range(CALLERS)))

    async def _caller(self, session: aiohttp.ClientSession, wait: int) -> None:
        headers = {"Prefer": f"wait={wait}"} if wait else {}
        for order in self._orders:
            if self._takes_no_more:
                return
            order_id = str(order["order_id"])
            self._asked.add(order_id)
            try:
                await self._place(session, order, headers)
                if self._chance.random() < CANCELLED:
                    await self._cancel(session, order_id, headers)
            finally:
                self._asked.discard(order_id)
            await asyncio.sleep(PAUSE)

    async def _place(self, session: aiohttp.ClientSession, order: Sent, headers: dict[str, str]) -> None:
        async for status, told in self._answers(session, self._url, order, headers):
            if status == 200:
                self._note(order["order_id"], told["reason"] or told["status"])
            elif status == 202:
                self._note(order["order_id"], "")
            else:
                self.violations.append(f"the API answered {status} to {order['order_id']}: {told}")

    async def _cancel(self, session: aiohttp.ClientSession, order_id: str, headers: dict[str, str]) -> None:
        async for status, told in self._answers(session, f"{self._url}/{order_id}/cancel", {}, headers):
            if status == 200:
                self._note(order_id, told["reason"] or told["status"])
            elif status == 409 and told["code"] == "too_late":
                self._note(order_id, "COMPLETED")
            elif status != 202:
                self.violations.append(f"the API answered {status} to a cancellation of {order_id}: {told}")

    def _note(self, order_id: str, ending: str) -> None:
        before = self.said.get(order_id, "")
        if before and ending and before != ending:
            self.violations.append(f"the API said of order {order_id} {before}, and then {ending}")
        self.said[order_id] = ending or before

    async def _answers(
        self, session: aiohttp.ClientSession, url: str, body: Sent, headers: dict[str, str]
    ) -> AsyncIterator[tuple[int, dict[str, Any]]]:
        """The first answer that is one: no answer and 503 mean that the same is asked again, as a shop does."""
        while not self._is_closed:
            try:
                async with session.post(url, json=body, headers=headers) as response:
                    told = await response.json(content_type=None)
            except (aiohttp.ClientError, TimeoutError, ValueError):
                await asyncio.sleep(AGAIN)
                continue
            if response.status != 503:
                yield response.status, told
                return
            await asyncio.sleep(AGAIN)
