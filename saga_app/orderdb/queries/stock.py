"""Queries about stock: the units of each article, and the orders that hold some."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from saga_app.core.records import StepName
from saga_app.core.rows import OPEN_STATUSES, State
from saga_app.orderdb.queries.ids import begins, is_id
from saga_app.orderdb.queries.orders import Listed, newest
from saga_app.orderdb.schema import order_lines, order_steps, orders, stock

#: Warehouse and SKU.
Article = tuple[str, str]


class StockBalance(NamedTuple):
    """Units of an article: received = available + reserved + sold; open orders have `reserved`."""

    warehouse: str
    sku: str
    received: int
    available: int
    reserved: int

    @property
    def sold(self) -> int:
        """The units that ended orders have."""
        return self.received - self.available - self.reserved


async def page(
    connection: AsyncConnection, limit: int, after: Article | None = None, q: str = "", warehouse: str = ""
) -> list[StockBalance]:
    """A page of articles, by warehouse and SKU, of those whose SKU begins with `q`.

    `after` is the last article of the page before.
    """
    if not all(is_id(each) for each in (q, warehouse, *(after or ())) if each):
        return []
    query = select(stock).limit(limit)
    if q:
        query = query.where(begins(stock.c.sku, q))
    if warehouse:
        query = query.where(stock.c.warehouse == warehouse)
    if after is not None:
        query = query.where(tuple_(stock.c.warehouse, stock.c.sku) > tuple_(*after))
    return await _balances(connection, query)


async def one(connection: AsyncConnection, sku: str) -> list[StockBalance]:
    """The article in every warehouse that ever had it."""
    return await _balances(connection, select(stock).where(stock.c.sku == sku)) if is_id(sku) else []


async def holders(
    connection: AsyncConnection,
    article: Article,
    limit: int,
    before: tuple[int, str] | None = None,
    *,
    open_only: bool = False,
) -> list[Listed]:
    """Orders that have units of the article, newest first: `order_id, status, quantity, customer_id, placed_at`."""
    warehouse, sku = article
    columns = (
        orders.c.order_id,
        orders.c.status,
        order_lines.c.quantity,
        orders.c.customer_id,
        orders.c.placed_at,
    )
    query = _held(*columns).where(order_lines.c.sku == sku, orders.c.warehouse == warehouse)
    return await newest(connection, query, limit, before, open_only=open_only)


async def accounted(connection: AsyncConnection, sku: str) -> dict[Article, dict[str, int]]:
    """The units of the article that orders have: by warehouse and SKU, a sum for each order status."""
    if not is_id(sku):
        return {}
    total = func.sum(order_lines.c.quantity)
    query = _held(orders.c.warehouse, orders.c.status, total).where(order_lines.c.sku == sku)
    found: dict[Article, dict[str, int]] = {}
    for where, status, units in await connection.execute(query.group_by(orders.c.warehouse, orders.c.status)):
        found.setdefault((where, sku), {})[status] = int(units)
    return found


async def _balances(connection: AsyncConnection, query: Select[Any]) -> list[StockBalance]:
    found = (await connection.execute(query.order_by(stock.c.warehouse, stock.c.sku))).all()
    reserved = await _reserved(connection, {row.sku for row in found})
    return [
        StockBalance(
            row.warehouse, row.sku, row.received, row.available, reserved.get((row.warehouse, row.sku), 0)
        )
        for row in found
    ]


async def _reserved(connection: AsyncConnection, skus: Iterable[str]) -> dict[Article, int]:
    """The units that open orders have."""
    total = func.sum(order_lines.c.quantity)
    query = _held(orders.c.warehouse, order_lines.c.sku, total).where(
        order_lines.c.sku.in_(sorted(skus)), orders.c.status.in_(sorted(OPEN_STATUSES))
    )
    rows = await connection.execute(query.group_by(orders.c.warehouse, order_lines.c.sku))
    return {(where, sku): int(units) for where, sku, units in rows}


def _held(*columns: Any) -> Select[Any]:
    """Selects columns of the order lines for which inventory has reserved the stock, and not released it."""
    reserved = (order_steps.c.service == StepName.INVENTORY.value) & (order_steps.c.state == State.DONE.value)
    lines = orders.join(order_lines, order_lines.c.order_id == orders.c.order_id)
    return select(*columns).select_from(
        lines.join(order_steps, (order_steps.c.order_id == orders.c.order_id) & reserved)
    )
