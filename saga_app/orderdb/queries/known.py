"""A short question about one order, for each request of the API: its content, and how it ended."""

from typing import Any, Final, NamedTuple

from pydantic_core import from_json
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from saga_app import topics
from saga_app.client.results import OrderEnding
from saga_app.core.order import Line, Order
from saga_app.core.payment import is_paid_outside
from saga_app.core.records import OrderCancelled, OrderCompleted, PaymentRequested, Reason, StepName
from saga_app.core.rows import OPEN_STATUSES, Status
from saga_app.orderdb.schema import order_events, order_lines, order_steps, orders

_ENDINGS: Final = {
    OrderCompleted.__name__: Status.COMPLETED,
    OrderCancelled.__name__: Status.CANCELLED,
}
#: The payment at a provider is not copied, the patience that is copied may be that of a policy, and people name no
#: route.
_NOT_COMPARED: Final = frozenset({"payment_method", "payment_reference", "patience", "route"})
_COPIED: Final = tuple(sorted(set(Order.model_fields) - _NOT_COMPARED))


class KnownOrder(NamedTuple):
    """An order that is copied; `content` is None if its row is not copied yet, `ending` if it is open.

    The content is without its payment. `is_paid_here` is true if it certainly names none. `patience` is that of the
    order, or of the policy that was in force when it was placed; None if neither has said one.
    """

    content: Order | None
    ending: OrderEnding | None
    is_paid_here: bool = False
    patience: int | None = None

    def is_same(self, order: Order) -> bool | None:
        """True if it has the content of this order, False if another; None if the copy cannot tell."""
        if self.content is None:
            return None
        if any(getattr(order, name) != getattr(self.content, name) for name in _COPIED):
            return False
        if order.patience is not None and order.patience != self.patience:
            return False
        if self.patience is not None:
            return None
        return not is_paid_outside(order) if self.is_paid_here else None


async def known(connection: AsyncConnection, order_id: str) -> KnownOrder | None:
    """The order with this id; None if nothing of it is copied.

    Topics are copied independently: the record that ended the order may be there before its row says so.
    """
    query = select(orders).where(orders.c.order_id == order_id)
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None or row["status"] in OPEN_STATUSES:
        ending = await _ending(connection, order_id, 0 if row is None else row["placed_at"])
        if row is None:
            return None if ending is None else KnownOrder(None, ending)
    else:
        ending = _ended(order_id, Status(row["status"]), row["ended_at"], row)
    content, is_paid_here = await _content(connection, row), await _is_paid_here(connection, row)
    return KnownOrder(content, ending, is_paid_here, row["patience"])


async def _content(connection: AsyncConnection, row: Any) -> Order:
    query = select(order_lines).where(order_lines.c.order_id == row["order_id"])
    found = (await connection.execute(query)).mappings()
    lines = sorted((each["sku"], each["quantity"]) for each in found)
    return Order.of(
        order_id=row["order_id"],
        customer_id=row["customer_id"],
        currency=row["currency"],
        amount=row["amount"],
        shipping=row["shipping_amount"],
        tax=row["tax_amount"],
        discount=row["discount_amount"],
        country=row["country"],
        warehouse=row["warehouse"],
        reference=row["reference"],
        metadata=None if row["metadata"] is None else tuple(map(tuple, from_json(row["metadata"]))),
        lines=tuple(Line.of(sku=sku, quantity=quantity) for sku, quantity in lines),
    )


async def _is_paid_here(connection: AsyncConnection, row: Any) -> bool:
    """True if the request itself did the payment; with a provider it is the provider's answer that did it."""
    if not row["amount"]:
        return False
    event, step = order_events.c, order_steps.c
    query = (
        select(event.type)
        .join(order_steps, (step.order_id == event.order_id) & (step.done_at == event.at_offset))
        .where(
            event.order_id == row["order_id"],
            event.topic == topics.PAYMENT,
            event.partition == row["partition"],
            event.type == PaymentRequested.__name__,
            step.service == StepName.PAYMENT,
        )
    )
    return (await connection.execute(query)).first() is not None


async def _ending(connection: AsyncConnection, order_id: str, since: int) -> OrderEnding | None:
    """From the first record that ended it; `since` is the time at which it was placed."""
    event = order_events.c
    query = (
        select(order_events)
        .where(event.order_id == order_id, event.type.in_(_ENDINGS), event.time >= since)
        .order_by(event.time)
        .limit(1)
    )
    row = (await connection.execute(query)).mappings().one_or_none()
    return None if row is None else _ended(order_id, _ENDINGS[row["type"]], row["time"], row)


def _ended(order_id: str, status: Status, at: int, row: Any) -> OrderEnding:
    return OrderEnding(
        order_id,
        status,
        at,
        Reason(row["reason"]) if row["reason"] else None,
        StepName(row["step"]) if row["step"] else None,
    )
