"""Callers who place an order and wait for its end before they place the next, over HTTP or over Kafka."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from typing import Any, Final

import aiohttp
from confluent_kafka import Consumer, Producer, TopicPartition
from pydantic_core import from_json

from bench import books, load
from bench.load import LoadRecord
from bench.peers.balances import COMPLETED
from bench.process import ProcessFailed
from bench.verdict import Wrong, compensated
from bench.watch import compensations
from harness.shop import Shop
from saga_app import topics

#: Seconds in which an order must end.
ENDED_WITHIN: Final = 60.0


@dataclass
class CallerResults:
    """How each order ended, as its caller was told; seconds that each waited, and from the first to the last."""

    endings: dict[str, str] = field(default_factory=dict)
    waited: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def note(self, order: str, ending: str, began: float) -> None:
        """One ending, now."""
        self.endings[order] = ending
        self.waited.append(time.perf_counter() - began)


class ByHttp:
    """One session for all, as a web server has; the addresses are those that Restate gives to services and objects."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._supplies: list[LoadRecord] = []

    def supply(self, messages: Sequence[LoadRecord]) -> None:
        """Stock and money, before any order."""
        self._supplies += messages
        asyncio.run(self._supply(books.came(messages)))

    def place(self, orders: Iterable[LoadRecord], at_once: int, seconds: float) -> CallerResults:
        """So many callers take orders until there are no more or the time is over. Raises ProcessFailed."""
        return asyncio.run(self._place(iter(orders), at_once, seconds))

    def check(self, orders: Mapping[str, LoadRecord], endings: Mapping[str, str]) -> None:
        """Raises Wrong unless every balance has what these orders leave."""
        asyncio.run(self._check(books.left(self._supplies, orders, endings)))

    async def _place(self, orders: Iterator[LoadRecord], at_once: int, seconds: float) -> CallerResults:
        told, first = CallerResults(), time.perf_counter()

        async def caller() -> None:
            for order in orders:
                name, began = order.key.decode(), time.perf_counter()
                told.note(name, await self._post(session, "checkout/place", order.value, name), began)
                if began > first + seconds:
                    return

        async with _session(self._url, at_once) as session:
            await asyncio.gather(*(caller() for _ in range(at_once)))
        told.seconds = time.perf_counter() - first
        return told

    async def _supply(self, balances: books.Balances) -> None:
        async with _session(self._url) as session:
            for (table, key), amount in balances.items():
                await self._post(session, f"{table}/{key}/supply", json.dumps(amount).encode())

    async def _check(self, balances: books.Balances) -> None:
        async with _session(self._url) as session:
            for (table, key), amount in balances.items():
                found = await self._post(session, f"{table}/{key}/left")
                if Decimal(found) != Decimal(amount):
                    raise Wrong(f"{key} of {table} should have {amount} left, it has {found}")

    async def _post(
        self, session: aiohttp.ClientSession, path: str, body: bytes | None = None, order: str = ""
    ) -> Any:
        headers = {"Content-Type": "application/json"} if body else {}
        if order:
            headers["Idempotency-Key"] = order
        try:
            async with session.post(f"/{path}", data=body, headers=headers) as answer:
                said = await answer.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ProcessFailed(f"{path}: {error!r}") from error
        if answer.status >= 300:
            raise ProcessFailed(f"{path}: {answer.status} {said[:300]}")
        return json.loads(said or "null")


class ByKafka:
    """One producer and one consumer for all; endings are read from the checkout inbox."""

    def __init__(self, broker: str) -> None:
        self._broker = broker

    def supply(self, messages: Sequence[LoadRecord]) -> None:
        """Stock and money, before any order."""
        load.place(Shop(self._broker), messages)

    def place(self, orders: Iterable[LoadRecord], at_once: int, seconds: float) -> CallerResults:
        """So many callers take orders until there are no more or the time is over. Raises ProcessFailed."""
        told, waiting, since = CallerResults(), iter(orders), dict[str, float]()
        producer, consumer = self._producer(), self._consumer()

        def start(count: int) -> None:
            for order in islice(waiting, count):
                since[order.key.decode()] = time.perf_counter()
                producer.produce(*order)

        first = time.perf_counter()
        start(at_once)
        while since:
            ended = 0
            for order, ending in _endings(consumer):
                # An ending may be told twice.
                if order in since:
                    told.note(order, ending, since.pop(order))
                    ended += 1
            producer.poll(0)
            now = time.perf_counter()
            if now < first + seconds:
                start(ended)
            elif now > first + seconds + ENDED_WITHIN:
                raise ProcessFailed(f"{len(since)} orders did not end in time, e.g. {min(since)}")
        told.seconds = time.perf_counter() - first
        consumer.close()
        return told

    def check(self, orders: Mapping[str, LoadRecord], endings: Mapping[str, str]) -> None:
        """Raises Wrong unless as many undo step requests were sent as these endings take."""
        compensated(compensations(self._broker), [Counter(endings.values())])

    def _producer(self) -> Producer:
        # Who waits for each order gains nothing if its record waits for company.
        told = {"acks": "all", "enable.idempotence": True, "linger.ms": 0, "partitioner": "murmur2_random"}
        return Producer({"bootstrap.servers": self._broker, "log_level": 3, **told})

    def _consumer(self) -> Consumer:
        """Of all that comes into the checkout inbox from now on."""
        told = {"group.id": "callers", "enable.auto.commit": False}
        consumer = Consumer({"bootstrap.servers": self._broker, "log_level": 3, **told})
        places = [TopicPartition(topics.CHECKOUT, each) for each in range(topics.DEFAULT_PARTITIONS)]
        for each in places:
            each.offset = consumer.get_watermark_offsets(each, timeout=15)[1]
        consumer.assign(places)
        return consumer


class ByApi(ByKafka):
    """Callers of `saga api` with `Prefer: wait`, over one session for all."""

    def __init__(self, broker: str, url: str) -> None:
        super().__init__(broker)
        self._url = url

    def place(self, orders: Iterable[LoadRecord], at_once: int, seconds: float) -> CallerResults:
        """So many callers take orders until there are no more or the time is over. Raises ProcessFailed."""
        return asyncio.run(self._place(iter(orders), at_once, seconds))

    async def _place(self, orders: Iterator[LoadRecord], at_once: int, seconds: float) -> CallerResults:
        told, first = CallerResults(), time.perf_counter()

        async def caller() -> None:
            for order in orders:
                began = time.perf_counter()
                told.note(order.key.decode(), await self._order(session, order), began)
                if began > first + seconds:
                    return

        async with _session(self._url, at_once) as session:
            await asyncio.gather(*(caller() for _ in range(at_once)))
        told.seconds = time.perf_counter() - first
        return told

    async def _order(self, session: aiohttp.ClientSession, order: LoadRecord) -> str:
        headers = {"Content-Type": "application/json", "Prefer": f"wait={ENDED_WITHIN:.0f}"}
        try:
            async with session.post("/v1/orders", data=order.value, headers=headers) as answer:
                said = await answer.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ProcessFailed(f"POST /v1/orders: {error!r}") from error
        if answer.status != 200:
            raise ProcessFailed(f"POST /v1/orders: {answer.status} {said[:300]}")
        ending = json.loads(said)
        return str(ending["reason"] or COMPLETED)


def _session(url: str, at_once: int = 1) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        url,
        connector=aiohttp.TCPConnector(limit=at_once),
        timeout=aiohttp.ClientTimeout(ENDED_WITHIN),
        skip_auto_headers=["Content-Type"],
    )


def _endings(consumer: Consumer) -> Iterator[tuple[str, str]]:
    """Orders that have ended, and how; none if none ends within a tenth of a second."""
    first = consumer.poll(0.1)
    for message in [first, *consumer.consume(1_000, 0)] if first else []:
        record = from_json(message.value())
        if record["type"] in ("OrderCompleted", "OrderCancelled"):
            yield record["order_id"], record.get("reason", COMPLETED)
