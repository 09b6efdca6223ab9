"""One endpoint: its consumer of `order_outcomes`, its first tries, and the later ones of what it has not taken."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, TypeVar

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from saga_app.kafka.broker_errors import RefusalLogger, in_words
from saga_app.kafka.liveness import Liveness
from saga_app.kafka.order_outcomes import OrderOutcomeReader
from saga_app.kafka.signatures import Signatures
from saga_app.settings import Settings
from saga_app.times import now
from saga_app.topics import ORDER_OUTCOMES
from saga_app.webhooks.board import DeliveryBoard
from saga_app.webhooks.deliveries import (
    KEPT_FOR,
    EndpointBegun,
    WebhookDelivery,
    begun_record,
    delivery_record,
    event_type,
    group_of,
    taken_record,
)
from saga_app.webhooks.endpoints import WebhookEndpoint
from saga_app.webhooks.figures import WebhookFigures
from saga_app.webhooks.post import Poster, TriedDelivery
from saga_app.webhooks.window import Window
from saga_app.webhooks.writer import DeliveryWriter

_LOG: Final = logging.getLogger(__name__)
#: Tries of one endpoint at once: first ones, and later ones.
AT_ONCE: Final = 16
#: Seconds that a poll waits, from one look at what is due to the next, and from one commit to the next.
_POLL: Final = 0.2
_LOOK: Final = 0.5
_COMMIT: Final = 1.0
#: Seconds until a consumer that failed is made again, in which callbacks get an answer, and in which tries may end.
_RETRY: Final = 2.0
_ANSWER: Final = 20.0
_STOP: Final = 5.0
#: Seconds after which the group gives a silent member up.
_SESSION: Final = 10
Result = TypeVar("Result")


class EndpointRunner:
    """Used in one event loop; calls of its consumer are made in a thread of its own, one after the other."""

    def __init__(
        self,
        settings: Settings,
        endpoint: WebhookEndpoint,
        board: DeliveryBoard,
        writer: DeliveryWriter,
        figures: WebhookFigures,
    ) -> None:
        self._settings = settings
        self._endpoint = endpoint
        self._board = board
        self._writer = writer
        self._figures = figures
        self._window = Window()
        self._reader = OrderOutcomeReader(Signatures.of(settings))
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._retried: set[str] = set()
        self._committed: dict[int, int] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Posts until it is told to stop; while the broker cannot be reached it tries again."""
        self._loop = asyncio.get_running_loop()
        self._poster = Poster(self._endpoint)
        retrying = asyncio.create_task(self._retry_for_ever())
        try:
            while not stop.is_set():
                try:
                    await self._follow(stop)
                except (KafkaException, ConnectionError, TimeoutError) as error:
                    words = in_words(error) if isinstance(error, KafkaException) else str(error)
                    _LOG.warning("webhooks, endpoint %s: %s", self._endpoint.name, words)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(stop.wait(), _RETRY)
        finally:
            retrying.cancel()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(retrying, *self._tasks, return_exceptions=True)
            await self._poster.close()

    async def _follow(self, stop: asyncio.Event) -> None:
        with ThreadPoolExecutor(1, f"saga-webhook-{self._endpoint.name}") as executor:

            async def call(function: Callable[..., Result], *args: Any) -> Result:
                return await self._loop.run_in_executor(executor, function, *args)

            consumer = await call(self._subscribed)
            liveness, committed_at = Liveness(ORDER_OUTCOMES), self._loop.time()
            try:
                while not stop.is_set():
                    messages = await call(_poll, consumer, self._window.is_full)
                    if messages or self._window.is_full:
                        liveness.heard()
                    elif await call(liveness.is_cut_off, consumer):
                        raise ConnectionError(f"{self._settings.broker} does not answer")
                    for message in messages:
                        self._read(message)
                    if self._loop.time() - committed_at >= _COMMIT:
                        committed_at = self._loop.time()
                        await call(self._commit_if_mine, consumer, self._window.positions())
                if self._tasks:
                    await asyncio.wait(self._tasks, timeout=_STOP)
                await call(self._commit_if_mine, consumer, self._window.positions())
            finally:
                await call(consumer.close)
                for partition in self._window.partitions:
                    self._window.end(partition)

    def _read(self, message: KafkaMessage) -> None:
        partition, offset = int(message.partition() or 0), int(message.offset() or 0)
        if message.error() is not None or not self._window.read(partition, offset):
            return
        heard = self._reader.read(message)
        if heard is None or heard.value is None or event_type(heard) not in self._endpoint.events:
            self._window.settle(partition, offset)
            return
        delivery = WebhookDelivery.new(self._endpoint.name, heard)
        self._start(self._try_first(partition, offset, delivery))

    async def _try_first(self, partition: int, offset: int, delivery: WebhookDelivery) -> None:
        """The position passes the outcome when it is taken, or when it is written down that it was not."""
        while not self._board.has_room(self._endpoint.name, partition):
            await asyncio.sleep(_LOOK)
        tried = await self._try(delivery)
        if not tried.is_taken:
            await self._not_taken(delivery, partition, tried)
        self._window.settle(partition, offset)

    async def _try_again(self, partition: int, delivery: WebhookDelivery) -> None:
        try:
            tried = await self._try(delivery)
            if tried.is_taken:
                await self._writer.write(taken_record(delivery, partition))
            else:
                await self._not_taken(delivery, partition, tried)
        finally:
            self._retried.discard(delivery.key)

    async def _try(self, delivery: WebhookDelivery) -> TriedDelivery:
        async with self._slots:
            tried = await self._poster.post(delivery)
        self._figures.tried(self._endpoint.name, is_taken=tried.is_taken)
        return tried

    async def _not_taken(self, delivery: WebhookDelivery, partition: int, tried: TriedDelivery) -> None:
        later = delivery.not_taken(tried.answer, now(), wait=tried.wait, is_final=tried.is_final)
        _LOG.warning("webhooks: not taken: %s", later.in_words())
        await self._writer.write(delivery_record(later, partition))

    async def _retry_for_ever(self) -> None:
        while True:
            for partition in self._window.partitions:
                queue, at = (self._endpoint.name, partition), now()
                for delivery in list(self._board.waiting[queue].values()):
                    if len(self._retried) >= AT_ONCE:
                        break
                    if delivery.next_at <= at and delivery.key not in self._retried:
                        self._retried.add(delivery.key)
                        self._start(self._try_again(partition, delivery))
                for event, failed_at in list(self._board.failed[queue].items()):
                    if at - failed_at > KEPT_FOR:
                        self._start(self._forget(partition, event))
            await asyncio.sleep(_LOOK)

    async def _forget(self, partition: int, event: str) -> None:
        """One that failed is kept for a while, so that somebody can look at it, and no longer."""
        self._board.failed[self._endpoint.name, partition].pop(event, None)
        gone = WebhookDelivery(
            endpoint=self._endpoint.name, id=event, type="", order_id="", outcome="", first_at=0, next_at=0
        )
        await self._writer.write(taken_record(gone, partition))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _subscribed(self) -> Consumer:
        consumer = Consumer(
            {
                **self._settings.kafka,
                "group.id": group_of(self._settings, self._endpoint.name),
                "session.timeout.ms": _SESSION * 1000,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "error_cb": RefusalLogger(),
            }
        )
        consumer.subscribe(
            [ORDER_OUTCOMES], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
        )
        return consumer

    def _assigned(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        """In the consumer's thread: the position of each partition is durable before anything is read."""
        places = [each for each in places if each.partition < self._settings.partitions]
        begin: dict[int, int] = {}
        for place in consumer.committed(places, _ANSWER):
            partition, queue = place.partition, (self._endpoint.name, place.partition)
            low, high = consumer.get_watermark_offsets(place, _ANSWER)
            offset = int(place.offset)
            if offset < 0:
                begun = self._board.begun.get(queue)
                offset = (low if self._endpoint.begins_with_all else high) if begun is None else begun
            begin[partition] = max(offset, low)
            if queue not in self._board.begun:
                marked = EndpointBegun(endpoint=queue[0], partition=partition, offset=begin[partition])
                self._in_loop(self._writer.write(begun_record(marked)))
        self._commit(consumer, begin)
        self._in_loop(self._begin(begin))
        consumer.assign([TopicPartition(ORDER_OUTCOMES, *each) for each in begin.items()])

    def _revoked(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        positions = self._in_loop(self._end([each.partition for each in places]))
        self._commit_if_mine(consumer, positions)

    def _lost(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        self._in_loop(self._end([each.partition for each in places]))

    def _in_loop(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_ANSWER)

    async def _begin(self, begin: dict[int, int]) -> None:
        for each in begin.items():
            self._window.begin(*each)

    async def _end(self, partitions: list[int]) -> dict[int, int]:
        positions = self._window.positions()
        for each in partitions:
            self._window.end(each)
            self._committed.pop(each, None)
        return {each: positions[each] for each in partitions if each in positions}

    def _commit_if_mine(self, consumer: Consumer, positions: dict[int, int]) -> None:
        """The group may have moved on: the next owner then posts some events again, with the same ids."""
        with suppress(KafkaException):
            self._commit(consumer, positions)

    def _commit(self, consumer: Consumer, positions: dict[int, int]) -> None:
        new = {each: at for each, at in positions.items() if self._committed.get(each) != at}
        if new:
            places = [TopicPartition(ORDER_OUTCOMES, *each) for each in new.items()]
            consumer.commit(offsets=places, asynchronous=False)
            self._committed.update(new)


def _poll(consumer: Consumer, is_full: bool) -> list[KafkaMessage]:
    """The new outcomes; none while too much is open, and the member stays in its group all the same."""
    mine = consumer.assignment()
    (consumer.pause if is_full else consumer.resume)(mine)
    return [*consumer.consume(1, _POLL), *consumer.consume(AT_ONCE * 4, 0)]
