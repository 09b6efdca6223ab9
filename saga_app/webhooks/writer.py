"""Writes deliveries from an event loop, as safely as a worker writes: acks=all, idempotent, each awaited."""

import asyncio
import logging
import threading
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from saga_app.kafka.messages import Outgoing
from saga_app.kafka.sender import producer_options
from saga_app.settings import Settings
from saga_app.webhooks.board import DeliveryBoard

_LOG: Final = logging.getLogger(__name__)
#: Seconds in which the broker must take a record, and until it is tried again.
TIMEOUT: Final = 10.0
PAUSE: Final = 1.0
_POLL: Final = 0.1


class DeliveryWriter:
    """One producer, and the thread that takes the broker's answers to it."""

    def __init__(self, settings: Settings, board: DeliveryBoard) -> None:
        self._settings = settings
        self._board = board
        self._stopping = threading.Event()
        self._made = self._connected()
        self._thread = threading.Thread(target=self._run, name="saga-webhook-writer", daemon=True)
        self._thread.start()

    async def write(self, record: Outgoing) -> None:
        """Returns when the broker has the record, however long that takes; then it counts on the board too."""
        while True:
            try:
                offset = await self._written(record)
            except (KafkaException, BufferError) as error:
                _LOG.warning("webhooks: a delivery is not written down yet: %s", error)
                await asyncio.sleep(PAUSE)
                continue
            self._board.wrote(record.partition or 0, offset, record.key or b"", record.value)
            return

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()

    async def _written(self, record: Outgoing) -> int:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[int] = loop.create_future()

        def settle(error: KafkaError | None, offset: int) -> None:
            if answer.done():
                return
            if error is None:
                answer.set_result(offset)
            else:
                answer.set_exception(KafkaException(error))

        def delivered(error: KafkaError | None, message: Message) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, error, int(message.offset() or 0))

        producer = self._made
        try:
            producer.produce(record.topic, record.value, record.key, record.partition, delivered)
            return await answer
        except KafkaException as error:
            if error.args[0].fatal() and producer is self._made:
                # Its numbers are used up: the next one begins anew.
                self._made = self._connected()
            raise

    def _connected(self) -> Any:
        return Producer(
            {
                **producer_options(self._settings),
                "linger.ms": 1,
                "delivery.timeout.ms": int(TIMEOUT * 1000),
            }
        )

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._made.poll(_POLL)
        self._made.flush(TIMEOUT + 1)
