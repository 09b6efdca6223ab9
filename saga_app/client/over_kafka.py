"""A client that speaks to Kafka itself: nothing stands between it and the saga."""

from typing import Final, Self

from confluent_kafka import KafkaException

from saga_app.client.async_client import AnyOrder, order_in
from saga_app.client.outcomes import OutcomeFollower, Remembered
from saga_app.client.publisher import Publisher, QueueFull
from saga_app.client.results import OrderEnding, OrderOpen, RecordRefused, Refusal, TryAgain
from saga_app.core.errors import Fault
from saga_app.core.records import Record
from saga_app.dead_letters.format import LetterId
from saga_app.kafka.sender import DeliveryUnknown, checked
from saga_app.kafka.topic_admin import BrokerUnreachable, TopicsWrong
from saga_app.settings import Settings

#: Seconds in which the client must hear the endings of orders.
BEGIN_WITHIN: Final = 15.0


class KafkaClient:
    """Sends records to their inboxes, and hears endings from the moment when it is opened; see `AsyncClient`.

    It remembers the last 10,000 endings, so an order may end before somebody waits for it. It cannot tell how an order
    ended before it was opened: the API and the order database can.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings or Settings.read()
        self._publisher = Publisher(self._settings)
        self._outcomes = OutcomeFollower(self._settings)
        #: The record, and an ending that was known before it was sent and may be that of another content.
        self._placed = Remembered[str, tuple[LetterId, OrderEnding | None]]()

    async def __aenter__(self) -> Self:
        self._outcomes.start()
        if not await self._outcomes.begun(BEGIN_WITHIN):
            await self.__aexit__()
            raise TryAgain(f"the endings of orders cannot be read: {self._outcomes.fault}")
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._publisher.close()
        await self._outcomes.close()

    async def place(self, order: AnyOrder) -> str:
        record = order_in(order)
        if self._outcomes.digest(record.order_id) not in (None, record.order.digest):
            raise RecordRefused(
                Fault.DIFFERENT_CONTENT, f"order {record.order_id} was placed before with another content"
            )
        doubtful = self._doubtful(record.order_id)
        self._placed.add(record.order_id, (await self._send(record), doubtful))
        return record.order_id

    async def cancel(self, order_id: str, note: str | None = None) -> None:
        await self._send(checked({"type": "CancellationRequested", "order_id": order_id, "note": note}))

    async def wait(self, order_id: str, seconds: float = 30.0) -> OrderEnding:
        place, doubtful = self._placed.get(order_id) or (None, None)
        remembers = doubtful is None or self._outcomes.ending(order_id) is not doubtful
        with self._outcomes.watch(order_id, remembers=remembers) as watch:
            if place is not None:
                watch.of_record(place)
            outcome = await watch.outcome(seconds)
        if outcome is None:
            raise OrderOpen(f"order {order_id} has not ended in {seconds:g} s")
        if isinstance(outcome, Refusal):
            raise RecordRefused(outcome.reason, outcome.detail)
        return outcome

    def _doubtful(self, order_id: str) -> OrderEnding | None:
        """An ending that is known, though the order was placed before this client was opened."""
        if self._outcomes.digest(order_id) is None:
            return self._outcomes.ending(order_id)
        # By now the digest may be that of the record that was sent in doubt.
        before = self._placed.get(order_id)
        return None if before is None else before[1]

    async def _send(self, record: Record) -> LetterId:
        try:
            return LetterId(*await self._publisher.send(record))
        except (BrokerUnreachable, DeliveryUnknown, KafkaException, QueueFull, TopicsWrong) as error:
            raise TryAgain(str(error)) from error
