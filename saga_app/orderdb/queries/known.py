"""A short question about one order, for each request of the API: its content, and how it ended."""

from typing import Any, Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from saga_app.client.results import OrderEnding
from saga_app.core.order import Line, Order
from saga_app.core.records import OrderCancelled, OrderCompleted, Reason, StepName
from saga_app.core.rows import OPEN_STATUSES, Status
from saga_app.orderdb.schema import order_events, order_lines, orders

_ENDINGS: Final = {
    OrderCompleted.__name__: Status.COMPLETED,
    OrderCancelled.__name__: Status.CANCELLED,
}


class KnownOrder(NamedTuple):
    """An order that is copied; `content` is None if its row is not copied yet, `ending` if it is open."""

    content: Order | None
    ending: OrderEnding | None


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
    return KnownOrder(await _content(connection, row), ending)


async def _content(connection: AsyncConnection, row: Any) -> Order:
    query = select(order_lines).where(order_lines.c.order_id == row["order_id"])
    found = (await connection.execute(query)).mappings()
    lines = sorted((each["sku"], each["quantity"]) for each in found)
    return Order.of(
        order_id=row["order_id"],
        customer_id=row["customer_id"],
        currency=row["currency"],
        amount=row["amount"],
        country=row["country"],
        warehouse=row["warehouse"],
        lines=tuple(Line.of(sku=sku, quantity=quantity) for sku, quantity in lines),
    )


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
