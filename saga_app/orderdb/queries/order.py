"""Queries about one order: all rows about it."""

from collections import Counter
from decimal import Decimal
from typing import Any, Final, NamedTuple

from pydantic_core import from_json
from sqlalchemy import LargeBinary, Table, bindparam, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from saga_app.core.records import CancellationRequested
from saga_app.core.route import SEQUENCE
from saga_app.dead_letters.filters import names
from saga_app.dead_letters.format import LetterId
from saga_app.orderdb.present.order_status import OrderStatus
from saga_app.orderdb.queries import untaken
from saga_app.orderdb.queries.dead_letters import with_settlements
from saga_app.orderdb.queries.ids import is_id
from saga_app.orderdb.queries.orders import Listed
from saga_app.orderdb.schema import dead_letters, order_events, order_lines, order_prices, order_steps, orders

#: Finds letters that may name an order: its id is in the payload, or an escape that may spell it in another way.
_HOLDS: Final = {
    "sqlite": "key = :wanted OR instr(value, :wanted) > 0 OR instr(value, :escape) > 0",
    "postgresql": "key = :wanted OR position(:wanted in value) > 0 OR position(:escape in value) > 0",
}


class OrderDetails(NamedTuple):
    """The rows about one order, as in `schema`. `order` is None if it was never placed, or is not copied yet.

    `events` are oldest first. `letters` are the dead letters that name the order, oldest first (`with_settlements`).
    `untaken` is its row of `queries.untaken` if no worker has taken it.
    """

    order_id: str
    order: Listed | None
    lines: list[Listed]
    steps: list[Listed]
    events: list[Listed]
    letters: list[Listed]
    untaken: Listed | None = None

    @property
    def patience(self) -> int | None:
        """The patience of the order in seconds; None if it is the default, or not copied yet."""
        return None if self.order is None else self.order["patience"]

    @property
    def metadata(self) -> dict[str, str]:
        """The shop's own names and texts; empty if there are none, or they are not copied yet."""
        kept = None if self.order is None else self.order["metadata"]
        return {} if kept is None else dict(from_json(kept))

    @property
    def status(self) -> OrderStatus | None:
        """The status of the order, if its row is copied."""
        return None if self.order is None else OrderStatus.of(self.order, self.steps, self.events)

    @property
    def cancelled_first(self) -> int | None:
        """The time of a cancellation that waits for its order; None if the order is there, or nobody cancelled it."""
        if self.order is not None or self.untaken is not None:
            return None
        refused = {each["id"] for each in self.letters}
        return next(
            (
                each["time"]
                for each in self.events
                if each["type"] == CancellationRequested.__name__
                and str(LetterId(each["topic"], each["partition"], each["at_offset"])) not in refused
            ),
            None,
        )


class LinePrice(NamedTuple):
    """Units of an article in an order; `unit_price` and `total` are None where the order states none."""

    sku: str
    quantity: int
    unit_price: Decimal | None
    total: Decimal | None = None

    @property
    def amount(self) -> Decimal | None:
        if self.total is not None:
            return self.total
        return None if self.unit_price is None else self.unit_price * self.quantity


async def find(connection: AsyncConnection, order_id: str) -> OrderDetails:
    """All rows about an order; none if no record names it."""
    if not is_id(order_id):
        return OrderDetails(order_id, None, [], [], [], [])
    order = await _rows(connection, orders, order_id)
    events = sorted(await _rows(connection, order_events, order_id), key=_when)
    return OrderDetails(
        order_id,
        order[0] if order else None,
        await _rows(connection, order_lines, order_id),
        await _rows(connection, order_steps, order_id),
        events,
        await letters(connection, order_id),
        None if order else await untaken.find(connection, order_id),
    )


async def letters(connection: AsyncConnection, order_id: str) -> list[Listed]:
    """The dead letters that name this order, as in `OrderDetails`. It scans all dead letters: some ms per thousand."""
    holds = text(_HOLDS[connection.dialect.name]).bindparams(
        bindparam("wanted", order_id.encode(), LargeBinary), bindparam("escape", b"\\", LargeBinary)
    )
    query = select(dead_letters).where(holds).order_by(dead_letters.c.time)
    found = [dict(row) for row in (await connection.execute(query)).mappings()]
    return [
        await with_settlements(connection, row) for row in found if names(row["key"], row["value"], order_id)
    ]


async def event_at(connection: AsyncConnection, at: LetterId) -> Listed | None:
    """The row of the record at this place; None if it is no record of an order, or not copied."""
    place = tuple_(order_events.c.topic, order_events.c.partition, order_events.c.at_offset)
    row = (await connection.execute(select(order_events).where(place == tuple_(*at)))).mappings().first()
    return None if row is None else dict(row)


async def priced_lines(connection: AsyncConnection, found: OrderDetails) -> list[LinePrice]:
    """The lines of an order as they were placed, with their prices, then those of its units that have none."""
    if found.order is None:
        return []
    at = tuple_(order_prices.c.partition, order_prices.c.at_offset)
    placed = tuple_(found.order["partition"], found.order["placed_offset"])
    query = select(
        order_prices.c.sku, order_prices.c.quantity, order_prices.c.unit_price, order_prices.c.total
    )
    rows = (await connection.execute(query.where(at == placed).order_by(order_prices.c.line))).all()
    priced = [LinePrice(row.sku, row.quantity, row.unit_price, row.total) for row in rows]
    units = Counter({line["sku"]: line["quantity"] for line in found.lines})
    for line in priced:
        units[line.sku] -= line.quantity
    return priced + [LinePrice(sku, number, None) for sku, number in units.items() if number > 0]


async def _rows(connection: AsyncConnection, table: Table, order_id: str) -> list[Listed]:
    query = select(table).where(table.c.order_id == order_id).order_by(*table.primary_key.columns)
    return [dict(row) for row in (await connection.execute(query)).mappings()]


def _when(event: Listed) -> tuple[Any, ...]:
    return (
        event["time"],
        SEQUENCE.index(event["type"]),
        event["topic"],
        event["partition"],
        event["at_offset"],
    )
