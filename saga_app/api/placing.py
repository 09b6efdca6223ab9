"""Places orders, and answers with their endings.

An order is accepted when the broker has its record; whatever else fails, that is true of every 202 and 200.
"""

import asyncio
import logging
from collections.abc import Sequence
from time import monotonic
from typing import Final

from saga_app.client.outcomes import OutcomeFollower, Remembered, Watch
from saga_app.client.publisher import Publisher
from saga_app.client.results import OrderEnding, RecordRefused, Refusal
from saga_app.core.order import Order
from saga_app.core.records import CancellationRequested, OrderPlaced, Record
from saga_app.dead_letters.format import LetterId
from saga_app.kafka.messages import Header
from saga_app.orderdb.database import DatabaseWrong, is_down
from saga_app.orderdb.queries.known import KnownOrder, known
from saga_app.orderdb.serving import OrderDatabase
from saga_app.settings import Settings
from saga_app.times import now

_LOG: Final = logging.getLogger(__name__)
#: Callers that wait for an ending at the same time; a further one is answered at once.
MOST_WAITING: Final = 1_000
#: Seconds in which the order database must say what it knows, and seconds for which it is not asked after it did not.
LOOK: Final = 1.0
LEFT_ALONE: Final = 5.0
#: How often the content of an order that has ended is looked for, and the seconds from one look to the next.
_LOOKS: Final = 20
_LOOK_AGAIN: Final = 0.05


class OtherContent(Exception):
    """The id of this order is known with another content; the message names it."""

    def __init__(self, order_id: str) -> None:
        super().__init__(f"order {order_id} was placed before with another content")


class OrderDesk:
    """Places and cancels the orders of one process."""

    def __init__(
        self, settings: Settings, publisher: Publisher, outcomes: OutcomeFollower, database: OrderDatabase
    ) -> None:
        self._settings = settings
        self._publisher = publisher
        self._database = database
        self._placed = Remembered[str, str]()
        self._ask_again_at = 0.0
        self.outcomes = outcomes

    def has_placed(self, order_id: str) -> bool:
        """True if this process placed it not long ago, so that it may not be copied yet."""
        return self._placed.get(order_id) is not None

    @property
    def can_wait(self) -> bool:
        """True if one more caller may wait for an ending."""
        return self.outcomes.waiting < MOST_WAITING and not self.outcomes.fault

    async def place(
        self, record: OrderPlaced, by: str, seconds: float, headers: Sequence[Header] = ()
    ) -> OrderEnding | None:
        """Places an order; returns its ending if it comes within so many seconds.

        The record is sent also if the order is known: it changes nothing then, and what is said of it is true of this
        cluster, whatever the order database is a copy of. Raises `OtherContent`, `RecordRefused`, and as
        `Publisher.send`.
        """
        order_id, digest = record.order_id, record.order.digest
        if self._placed.get(order_id) not in (None, digest):
            raise OtherContent(order_id)
        # From here on another content is refused, also while this one is on its way.
        is_new = not self.has_placed(order_id)
        self._placed.add(order_id, digest)
        try:
            with self.outcomes.watch(order_id) as watch:
                found = await self._known(order_id)
                is_same = self._is_same(record.order, found)
                if is_same is False:
                    raise OtherContent(order_id)
                if is_same:
                    return await self._send(record, by, seconds, watch, found, headers)
                # An ending that is known already may be that of another content, which only the saga knows.
                with self.outcomes.watch(order_id, remembers=False) as fresh:
                    ending = await self._send(record, by, seconds, fresh, None, headers)
                heard = None if ending is None else await self._heard(order_id)
                if heard not in (None, digest):
                    raise OtherContent(order_id)
                return None if heard is None else ending
        except BaseException:
            if is_new:
                self._placed.forget(order_id)
            raise

    async def cancel(self, record: CancellationRequested, by: str, seconds: float) -> OrderEnding | None:
        """Asks for a cancellation; returns the ending if the order has ended, or ends within so many seconds.

        Of an order that has ended nothing is sent. Raises as `place`.
        """
        with self.outcomes.watch(record.order_id) as watch:
            found = await self._known(record.order_id)
            if found is not None and found.ending is not None:
                return found.ending
            return await self._send(record, by, seconds, watch, found, ())

    async def _heard(self, order_id: str) -> str | None:
        """The digest of the order that has just ended: its record is in another topic, and may come a little later."""
        for _ in range(_LOOKS):
            if (heard := self.outcomes.digest(order_id)) is not None:
                return heard
            await asyncio.sleep(_LOOK_AGAIN)
        return None

    def _is_same(self, order: Order, found: KnownOrder | None) -> bool | None:
        """True if this content is known under the order's id, False if another one is; None if none is."""
        is_same = None if found is None else found.is_same(order)
        if is_same is None and (heard := self.outcomes.digest(order.order_id)) is not None:
            return heard == order.digest
        return is_same

    async def _send(
        self,
        record: Record,
        by: str,
        seconds: float,
        watch: Watch,
        found: KnownOrder | None,
        headers: Sequence[Header],
    ) -> OrderEnding | None:
        sent = await self._publisher.send(record, actor=by, headers=headers)
        if seconds <= 0:
            return None
        if found is not None and found.ending is not None:
            return found.ending
        watch.of_record(LetterId(*sent))
        outcome = await watch.outcome(seconds)
        if isinstance(outcome, Refusal):
            raise RecordRefused(outcome.reason, outcome.detail)
        return outcome

    async def _known(self, order_id: str) -> KnownOrder | None:
        """The copied order. None too while the order database does not answer: orders go on without it."""
        if monotonic() < self._ask_again_at:
            return None
        try:
            async with asyncio.timeout(LOOK):
                found = await self._database.query(lambda each: known(each, order_id))
        except Exception as error:
            if not isinstance(error, DatabaseWrong | TimeoutError) and not is_down(error):
                raise
            self._ask_again_at = monotonic() + LEFT_ALONE
            _LOG.warning("orders are placed without the order database: %s", str(error) or "no answer")
            return None
        return None if found is None or self._is_free_again(found) else found

    def _is_free_again(self, found: KnownOrder) -> bool:
        """True if the id of this order was purged since, and names a new order if it is placed again."""
        rows, ids = self._settings.order_retention, self._settings.order_id_retention
        if found.ending is None or rows is None or ids is None:
            return False
        return now() > found.ending.ended_at + rows + ids
