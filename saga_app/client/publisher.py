"""Sends records from an event loop, as safely as a worker: acks=all, idempotent, and each is awaited."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from saga_app.core.records import Record
from saga_app.kafka.broker_errors import in_words, refused
from saga_app.kafka.messages import Header, Outgoing, outgoing
from saga_app.kafka.reachable import require_broker
from saga_app.kafka.sender import (
    DeliveryUnknown,
    Sender,
    Sent,
    headers_by,
    partition_of,
    producer_options,
)
from saga_app.operator_log import log_action
from saga_app.settings import Settings

#: Seconds in which the broker must take a record.
TIMEOUT: Final = 10.0
#: Records that wait for the broker. A further one is refused: its sender should come back later.
MOST_WAITING: Final = 10_000
#: Milliseconds that a record waits for others, to go with them.
LINGER: Final = 1
#: Seconds for which the thread that takes the broker's answers waits for one.
_POLL: Final = 0.1


class QueueFull(Exception):
    """Too many records wait for the broker. This one was not sent."""


class Publisher:
    """Sends records over one connection, from one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topics = Sender(settings)
        self._known: set[str] = set()
        self._looking = asyncio.Lock()
        self._producer: Producer | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        #: True from the moment when no broker is reached until a record is delivered, or one takes a connection again.
        self._is_cut_off = False

    async def send(self, record: Record, *, actor: str = "", headers: Sequence[Header] = ()) -> Sent:
        """Sends a record and returns its place as soon as the broker has it; `actor` is who sends it.

        Raises `BrokerUnreachable`, `TopicsWrong` or `QueueFull` before it is sent, `DeliveryUnknown` after.
        """
        settings = replace(self._settings, actor=actor) if actor else self._settings
        made = outgoing(record)._replace(headers=headers)
        await self._require(made.topic)
        taken: list[Sent] = []
        try:
            sent = await self._delivered(made, settings)
            taken.append(sent)
        finally:
            log_action(settings, "send", records=1, taken=len(taken), first=taken, last=taken)
        return sent

    async def close(self) -> None:
        """Waits for the answers that are still to come, and gives the connection up."""
        if self._producer is not None:
            await asyncio.to_thread(self._producer.flush, TIMEOUT + 1)
            self._stopping.set()
            assert self._thread is not None
            await asyncio.to_thread(self._thread.join)

    async def _require(self, topic: str) -> None:
        if self._is_cut_off:
            await asyncio.to_thread(require_broker, self._settings)
            self._is_cut_off = False
        if topic not in self._known:
            async with self._looking:
                if topic not in self._known:
                    await asyncio.to_thread(self._topics.require_topic, topic)
                    self._known.add(topic)

    async def _delivered(self, record: Outgoing, settings: Settings) -> Sent:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sent] = loop.create_future()

        def settle(error: KafkaError | None, sent: Sent | None) -> None:
            if answer.done():
                return
            if sent is not None:
                answer.set_result(sent)
            else:
                assert error is not None
                answer.set_exception(self._unknown(refused(error) or error.str()))

        def delivered(error: KafkaError | None, message: Message) -> None:
            sent = None if error else Sent(message.topic(), message.partition(), message.offset())
            # A loop that has ended asks nobody any more.
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, error, sent)

        try:
            self._connected().produce(
                record.topic,
                record.value,
                record.key,
                partition_of(record, settings.partitions),
                delivered,
                headers=headers_by(record, settings.actor.encode()),
            )
        except BufferError:
            raise QueueFull(
                f"{MOST_WAITING} records wait for {settings.broker}; this one was not sent"
            ) from None
        except KafkaException as error:
            raise self._unknown(in_words(error)) from error
        return await answer

    def _unknown(self, why: str) -> DeliveryUnknown:
        return DeliveryUnknown(
            f"{self._settings.broker} did not say within {TIMEOUT:.0f} s that it has the record ({why}); it may "
            "have it all the same, so send it again: the same record twice counts once"
        )

    def _connected(self) -> Producer:
        if self._producer is None:
            self._producer = Producer(
                {
                    **producer_options(self._settings),
                    "linger.ms": LINGER,
                    "delivery.timeout.ms": int(TIMEOUT * 1000),
                    "queue.buffering.max.messages": MOST_WAITING,
                    "error_cb": self._heard_error,
                }
            )
            self._thread = threading.Thread(target=self._poll, name="saga-publisher", daemon=True)
            self._thread.start()
        return self._producer

    def _poll(self) -> None:
        assert self._producer is not None
        while not self._stopping.is_set():
            self._producer.poll(_POLL)

    def _heard_error(self, error: Any) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._is_cut_off = True
