"""The log port on librdkafka: idempotent, acks=all, one future per append.

Faust's own producer gives up flushing after 0.1 s (faust.md a9), only logs failed sends (a10) and is not idempotent.
"""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from saga_app.durable.lease import Lease
from saga_app.durable.ports import Outgoing
from saga_app.durable.refusal import refused
from saga_app.topics import LARGEST_IN_LOG


class DeliveryFailed(Exception):
    """The broker did not take a record within the delivery timeout."""


class _Append:
    """Records on their way, as many as `sent` says once all of them have been handed over."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.offsets: dict[int, int] = {}
        self.error: str | None = None
        self.loop = loop
        self.future: asyncio.Future[list[int]] = loop.create_future()
        self._told = 0
        self._sent: int | None = None

    def delivered(self, index: int, error: KafkaError | None, message: Message) -> None:
        """Called by librdkafka's poll thread, once per record."""
        if error is not None:
            self.error = self.error or f"{message.topic()}: {refused(error) or error}"
        else:
            self.offsets[index] = message.offset()
        self._told += 1
        if self._told == self._sent:
            self.loop.call_soon_threadsafe(self._finish)

    def sent(self, count: int) -> None:
        """No more records come; called by the loop, maybe after the last of them was told."""
        self._sent = count
        if self._told == count:
            self._finish()

    def _finish(self) -> None:
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(DeliveryFailed(self.error))
        else:
            self.future.set_result([self.offsets[index] for index in range(len(self.offsets))])


class KafkaLog:
    """Appends records for rounds, repairs and the deadline clock."""

    def __init__(self, config: Mapping[str, Any], delivery_timeout: float, lease: Lease) -> None:
        self.lease = lease
        self._producer = Producer(
            {
                **config,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 0,
                "partitioner": "murmur2_random",
                "delivery.timeout.ms": int(delivery_timeout * 1000),
                "message.max.bytes": LARGEST_IN_LOG,
                "queue.buffering.max.messages": 2_000_000,
                "queue.buffering.max.kbytes": 1024 * 1024,
                "socket.nagle.disable": True,
            }
        )
        self._running = True
        self._thread = threading.Thread(target=self._poll, name="saga-producer", daemon=True)
        self._thread.start()

    async def append(self, records: Sequence[Outgoing], generation: int) -> list[int]:
        """See `ports.Log`; `DeliveryFailed` if the broker did not take one of them in time."""
        offsets: list[int] = []
        while True:
            await self.lease.hold(generation)
            offsets += await self._send(records[len(offsets) :], generation)
            if len(offsets) == len(records):
                return offsets

    async def _send(self, records: Sequence[Outgoing], generation: int) -> list[int]:
        """Offsets of as many of the records as could be handed over while the lease held.

        Asked before each record, since librdkafka counts a record's time from when it is handed over: a process that is
        paused on its way through a thousand records would send the rest of them as fresh ones when it wakes.
        """
        append = _Append(asyncio.get_running_loop())
        count = 0
        while count < len(records) and self.lease.holds(generation):
            self._hand_over(records[count], append, count)
            count += 1
        append.sent(count)
        return await append.future

    def _hand_over(self, record: Outgoing, append: _Append, index: int) -> None:
        options: dict[str, Any] = {} if record.partition is None else {"partition": record.partition}
        if record.headers:
            options["headers"] = list(record.headers)
        try:
            self._producer.produce(
                record.topic,
                record.value,
                record.key,
                on_delivery=lambda error, message: append.delivered(index, error, message),
                **options,
            )
        except (BufferError, KafkaException) as error:
            raise DeliveryFailed(f"{record.topic}: {error}") from error

    def close(self) -> None:
        """Stops the poll thread; what is on its way is given up."""
        self._running = False
        self._thread.join(timeout=2)

    def _poll(self) -> None:
        while self._running:
            self._producer.poll(0.2)
