"""The log port on librdkafka: idempotent, acks=all, one future per append.

Faust's own producer gives up flushing after 0.1 s (`docs/reference/faust.md#a9`), only logs failed sends
(`docs/reference/faust.md#a10`) and is not idempotent (`docs/reference/faust.md#a20`).
"""

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer, murmur2

from saga_app.core.numbers import Generation, Offset
from saga_app.engine.exits import Exit, Fatal
from saga_app.engine.lease import NEVER, Lease
from saga_app.engine.ports import DeliveryFailed, DeliveryTimedOut
from saga_app.engine.stores.extent import cut_while_running
from saga_app.kafka.broker_errors import refused
from saga_app.kafka.messages import Offsets, Outgoing, Place
from saga_app.kafka.signatures import Signatures
from saga_app.topics import LARGEST_IN_LOG, is_changelog

NO_OFFSET: Final = -1

Told = Callable[[KafkaError | None, Message], None]


class _Append:
    """Records on their way, as many as `sent` says once all of them have been handed over."""

    def __init__(self, loop: asyncio.AbstractEventLoop, offsets: defaultdict[Place, list[Offset]]) -> None:
        self.offsets = offsets
        self.error: DeliveryFailed | None = None
        self.loop = loop
        self.future: asyncio.Future[None] = loop.create_future()
        self._told = 0
        self._sent: int | None = None

    def placed(self, error: KafkaError | None, message: Message) -> None:
        """As `delivered`, for a record that names its partition: within one, reports come in the order written."""
        if error is None:
            self.offsets[message.topic(), message.partition()].append(Offset(message.offset()))
        self.delivered(error, message)

    def delivered(self, error: KafkaError | None, message: Message) -> None:
        """Called by librdkafka's poll thread, once per record."""
        if error is not None:
            in_time = error.code() != KafkaError._MSG_TIMED_OUT
            if self.error is None or (in_time and isinstance(self.error, DeliveryTimedOut)):
                kind = DeliveryFailed if in_time else DeliveryTimedOut
                self.error = kind(f"{message.topic()}: {refused(error) or error}")
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
            self.future.set_exception(self.error)
        else:
            self.future.set_result(None)


class KafkaLog:
    """Appends records for rounds, repairs and timers.

    It chooses every partition itself: librdkafka would count those that somebody added to a topic, which no worker
    reads and no key belongs to.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        delivery_timeout: float,
        lease: Lease,
        partitions: int,
        signatures: Signatures | None = None,
    ) -> None:
        self.lease = lease
        self._signatures = signatures
        self.partitions = partitions
        self._without_key = cycle(range(partitions))
        self._producer = Producer(
            {
                **config,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 0,
                "delivery.timeout.ms": int(delivery_timeout * 1000),
                "message.max.bytes": LARGEST_IN_LOG,
                "queue.buffering.max.messages": 2_000_000,
                "queue.buffering.max.kbytes": 1024 * 1024,
                "socket.nagle.disable": True,
            }
        )
        #: By changelog partition, the offset of the last row written.
        self._last: dict[Place, Offset] = {}
        self._running = True
        self._thread = threading.Thread(target=self._poll, name="saga-producer", daemon=True)
        self._thread.start()

    async def append(self, records: Sequence[Outgoing], generation: Generation) -> Offsets:
        """See `ports.Log`; `DeliveryFailed` if the broker did not take one of them in time."""
        offsets: defaultdict[Place, list[Offset]] = defaultdict(list)
        sent = 0
        while True:
            await self.lease.hold(generation)
            append = _Append(asyncio.get_running_loop(), offsets)
            sent += self._send(records[sent:], append, generation)
            await append.future
            if sent == len(records):
                self._check(offsets)
                return offsets

    def _check(self, offsets: Offsets) -> None:
        """Rows of a changelog come behind those before them, or it lost some: only this worker writes there now."""
        for place, found in offsets.items():
            if not is_changelog(place[0]):
                continue
            if found[0] <= self._last.get(place, NO_OFFSET) or found[-1] < found[0]:
                before = self._last.get(place)
                lacking = f"rows were written at offset {found[0]}, and others before at {before}"
                raise Fatal(Exit.CHANGELOG_CUT, cut_while_running(*place, lacking))
            self._last[place] = found[-1]

    def _send(self, records: Sequence[Outgoing], append: _Append, generation: Generation) -> int:
        """Hands over as many of the records as the lease allows; how many.

        The clock is asked before each record, since librdkafka counts a record's time from when it is handed over: a
        process that is paused on its way through a thousand records would send the rest of them as fresh ones when it
        wakes. The generation need not be: see `Lease.until`.
        """
        # A callable per record, or names for the arguments, would double what a record costs here.
        placed, delivered = append.placed, append.delivered
        clock, until = self.lease.clock, NEVER
        count = 0
        for record in records:
            if clock() > until:
                until = self.lease.until(generation)
                if clock() > until:
                    break
            if record.partition is not None:
                self._hand_over(record, record.partition, placed)
            elif record.key is not None:
                self._hand_over(record, murmur2(record.key, self.partitions), delivered)
            else:
                self._hand_over(record, next(self._without_key), delivered)
            count += 1
        append.sent(count)
        return count

    def _hand_over(self, record: Outgoing, partition: int, told: Told) -> None:
        topic, key, value, _, headers = record
        if self._signatures is not None:
            headers = self._signatures.signed(record, partition)
        try:
            if headers:
                self._producer.produce(topic, value, key, partition, told, headers=list(headers))
            else:
                self._producer.produce(topic, value, key, partition, told)
        except (BufferError, KafkaException) as error:
            raise DeliveryFailed(f"{topic}: {error}") from error

    def close(self) -> None:
        """Stops the poll thread; what is on its way is given up."""
        self._running = False
        self._thread.join(timeout=2)

    def _poll(self) -> None:
        while self._running:
            self._producer.poll(0.2)
