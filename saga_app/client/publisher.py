"""Sends records from an event loop, as safely as a worker: acks=all, idempotent, and each is awaited."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from saga_app.core.records import FROM_PEOPLE, Record
from saga_app.kafka.broker_errors import Admin, in_words, refused
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
from saga_app.kafka.signatures import as_service
from saga_app.operator_log import log_action
from saga_app.settings import Settings, SettingsError

_LOG: Final = logging.getLogger(__name__)
#: Seconds in which the broker must take a record.
TIMEOUT: Final = 10.0
#: Seconds without a delivery after which a producer is given up if another client gets an answer: librdkafka may have
#: lost its brokers for good (librdkafka#5301); and seconds from one such look to the next.
GIVEN_UP: Final = 30.0
LOOK_EVERY: Final = 5.0
#: Records that wait for the broker. A further one is refused: its sender should come back later.
MOST_WAITING: Final = 10_000
#: Milliseconds that a record waits for others, to go with them.
LINGER: Final = 1
#: Seconds for which the thread that takes the broker's answers waits for one.
_POLL: Final = 0.1


class QueueFull(Exception):
    """Too many records wait for the broker. This one was not sent."""


class _Connection:
    """A producer, and the thread that takes the broker's answers to it."""

    def __init__(self, settings: Settings, heard_error: Callable[[Any], None]) -> None:
        #: True after an error from which this producer does not recover.
        self.is_lost = False
        self._stopping = threading.Event()
        self._heard_error = heard_error
        self.producer = Producer(
            {
                **producer_options(settings),
                "linger.ms": LINGER,
                "delivery.timeout.ms": int(TIMEOUT * 1000),
                "queue.buffering.max.messages": MOST_WAITING,
                "error_cb": self.heard,
            }
        )
        self._thread = threading.Thread(target=self._poll, name="saga-publisher", daemon=True)
        self._thread.start()

    def heard(self, error: Any) -> None:
        """An error, of the connection or of a record."""
        self.is_lost = self.is_lost or error.fatal()
        self._heard_error(error)

    def give_up(self) -> None:
        """The thread ends, and tells those who wait for an answer that none will come."""
        self._stopping.set()

    def close(self) -> None:
        """Waits for the answers that are still to come."""
        self.producer.flush(TIMEOUT + 1)
        self._stopping.set()
        self._thread.join()

    def _poll(self) -> None:
        while not self._stopping.is_set():
            self.producer.poll(_POLL)
        self.producer.purge()
        self.producer.flush(1)


class Publisher:
    """Sends records over one connection, from one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topics = Sender(settings)
        self._known: set[str] = set()
        self._looking = asyncio.Lock()
        self._connection: _Connection | None = None
        #: Since when a record waits and none was delivered; None while none waits. And the last look at the broker.
        self._silent_since: float | None = None
        self._looked_at = 0.0
        #: True from the moment when no broker is reached until a record is delivered, or one takes a connection again.
        self._is_cut_off = False

    async def send(self, record: Record, *, actor: str = "", headers: Sequence[Header] = ()) -> Sent:
        """Sends a record and returns its place as soon as the broker has it; `actor` is who sends it.

        Raises `BrokerUnreachable`, `TopicsWrong` or `QueueFull` before it is sent, `DeliveryUnknown` after.
        """
        settings = replace(self._settings, actor=actor) if actor else self._settings
        made = outgoing(record) if isinstance(record, FROM_PEOPLE) else as_service(record, self._settings)
        made = made._replace(headers=(*made.headers, *headers))
        await self._require(made.topic)
        taken: list[Sent] = []
        try:
            sent = await self._delivered(made, settings)
            taken.append(sent)
        finally:
            _log_send(settings, taken)
        return sent

    async def close(self) -> None:
        """Waits for the answers that are still to come, and gives the connection up."""
        if self._connection is not None:
            await asyncio.to_thread(self._connection.close)

    async def _require(self, topic: str) -> None:
        if self._is_cut_off:
            await asyncio.to_thread(require_broker, self._settings)
            self._is_cut_off = False
        if self._is_silent():
            async with self._looking:
                if self._is_silent():
                    await self._look()
        if topic not in self._known:
            async with self._looking:
                if topic not in self._known:
                    await asyncio.to_thread(self._topics.require_topic, topic)
                    self._known.add(topic)

    def _is_silent(self) -> bool:
        """True if nothing was delivered for long, and nobody has looked why."""
        now = time.monotonic()
        since = self._silent_since
        return since is not None and now - since > GIVEN_UP and now - self._looked_at > LOOK_EVERY

    async def _look(self) -> None:
        """Gives the producer up if another client gets an answer, else raises why it gets none."""
        self._looked_at = time.monotonic()
        await asyncio.to_thread(require_broker, self._settings)
        await asyncio.to_thread(Admin(self._settings).list_topics, self._settings.timeouts.answer)
        self._give_up(f"has delivered nothing for {GIVEN_UP:.0f} s, though the broker answers")

    def _give_up(self, why: str) -> None:
        if self._connection is not None:
            _LOG.warning("a producer is given up for a new one: it %s", why)
            self._connection.give_up()
            self._connection = None
        self._silent_since = None

    async def _delivered(self, record: Outgoing, settings: Settings) -> Sent:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sent] = loop.create_future()

        def settle(error: KafkaError | None, sent: Sent | None) -> None:
            if answer.done():
                return
            if sent is not None:
                self._silent_since = None
                answer.set_result(sent)
            else:
                assert error is not None
                answer.set_exception(self._unknown(refused(error) or error.str()))

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is not None and error.fatal():
                connection.heard(error)
            sent = None if error else Sent(message.topic(), message.partition(), message.offset())
            # A loop that has ended asks nobody any more.
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, error, sent)

        connection = self._connected()
        try:
            connection.producer.produce(
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
            connection.heard(error.args[0])
            raise self._unknown(in_words(error)) from error
        if self._silent_since is None:
            self._silent_since = time.monotonic()
        return await answer

    def _unknown(self, why: str) -> DeliveryUnknown:
        return DeliveryUnknown(
            f"{self._settings.broker} did not say within {TIMEOUT:.0f} s that it has the record ({why}); it may "
            "have it all the same, so send it again: the same record twice counts once"
        )

    def _connected(self) -> _Connection:
        if self._connection is not None and self._connection.is_lost:
            self._give_up("had a fatal error")
        if self._connection is None:
            self._connection = _Connection(self._settings, self._heard_error)
        return self._connection

    def _heard_error(self, error: Any) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._is_cut_off = True


def _log_send(settings: Settings, taken: list[Sent]) -> None:
    """A record that the broker has is sent, whatever the operator log takes."""
    try:
        log_action(settings, "send", records=1, taken=len(taken), first=taken, last=taken)
    except SettingsError as error:
        _LOG.error("the operator log lacks a record that was sent: %s", error)
