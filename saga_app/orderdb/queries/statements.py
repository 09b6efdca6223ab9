"""Queries about the movements of a balance: deposits, withdrawals, payments and refunds, or the same of stock.

The balance's own row says up to which record it is copied, and only movements up to there are in its statement.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from saga_app.core.records import StepName
from saga_app.core.route import step
from saga_app.core.row_keys import SUPPLIES, KeyKind
from saga_app.core.rows import State
from saga_app.orderdb.schema import accounts, order_events, order_lines, order_steps, orders, stock, supplies

#: Movements behind the place of a page that are added up to find the balance there.
MOST_LATER: Final = 10_000


class TooFarBack(Exception):
    """More than `MOST_LATER` movements came after this place of a statement."""


class Movement(NamedTuple):
    """One movement of a balance, by the record at `at` (an offset in the inbox of its service).

    `name` is the id of the order, or, with `is_supply`, of the deposit, delivery, withdrawal or adjustment. `time` is
    Kafka's, in milliseconds, or None if the record is not copied. `amount` is below zero if the balance became smaller.
    """

    at: int
    what: str
    name: str
    is_supply: bool
    time: int | None
    amount: Decimal


class Statement(NamedTuple):
    """Movements of a balance, the newest first, each with the balance after it.

    `opening` is the balance before the oldest of them, `closing` that after the newest. `has_more` is True if there are
    older ones.
    """

    movements: list[tuple[Movement, Decimal]]
    opening: Decimal
    closing: Decimal
    has_more: bool


class _Kind(NamedTuple):
    """The words of a kind of balance: what brings to it and corrects it, what takes from it, and what gives back."""

    supply: KeyKind
    correction: KeyKind
    service: StepName
    takes: str
    gives_back: str


_MONEY: Final = _Kind(KeyKind.DEPOSIT, KeyKind.WITHDRAWAL, StepName.PAYMENT, "payment", "refund")
_STOCK: Final = _Kind(KeyKind.DELIVERY, KeyKind.ADJUSTMENT, StepName.INVENTORY, "reservation", "release")


async def of_account(
    connection: AsyncConnection, customer_id: str, currency: str, limit: int, before: int | None = None
) -> Statement | None:
    """The statement of an account, up to the movement `before`; None if there is no such account.

    Raises `TooFarBack`.
    """
    query = select(accounts.c.version, accounts.c.balance)
    query = query.where(accounts.c.customer_id == customer_id, accounts.c.currency == currency)
    # What was paid before the first deposit was paid without an account.
    first = select(func.min(supplies.c.at_offset)).where(_brought(_MONEY, customer_id, currency))
    taken = orders.join(order_steps, order_steps.c.order_id == orders.c.order_id)
    condition = and_(
        orders.c.customer_id == customer_id,
        orders.c.currency == currency,
        order_steps.c.done_at > func.coalesce(first.scalar_subquery(), -1),
    )
    parts = _parts(_MONEY, customer_id, currency, taken, orders.c.amount, condition)
    return await _statement(connection, query, parts, limit, before)


async def of_article(
    connection: AsyncConnection, warehouse: str, sku: str, limit: int, before: int | None = None
) -> Statement | None:
    """The statement of an article in a warehouse, up to the movement `before`; None if it never came there.

    Raises `TooFarBack`.
    """
    query = select(stock.c.version, stock.c.available)
    query = query.where(stock.c.warehouse == warehouse, stock.c.sku == sku)
    lines = orders.join(order_lines, order_lines.c.order_id == orders.c.order_id)
    taken = lines.join(order_steps, order_steps.c.order_id == orders.c.order_id)
    condition = and_(orders.c.warehouse == warehouse, order_lines.c.sku == sku)
    parts = _parts(_STOCK, warehouse, sku, taken, order_lines.c.quantity, condition)
    return await _statement(connection, query, parts, limit, before)


async def refused(connection: AsyncConnection, owner: str, unit: str, limit: int) -> list[Mapping[str, Any]]:
    """The newest withdrawals or adjustments of this balance that were refused, with the columns of `supplies`."""
    here = and_(supplies.c.owner == owner, supplies.c.unit == unit, supplies.c.refused.is_not(None))
    query = select(supplies).where(here).order_by(supplies.c.at_offset.desc()).limit(limit)
    return [dict(row) for row in (await connection.execute(query)).mappings()]


def _brought(kind: _Kind, owner: str, unit: str) -> ColumnElement[bool]:
    here = and_(supplies.c.owner == owner, supplies.c.unit == unit, supplies.c.refused.is_(None))
    return and_(here, supplies.c.kind.in_((kind.supply.value, kind.correction.value)))


def _parts(
    kind: _Kind, owner: str, unit: str, taken: Any, amount: ColumnElement[Any], condition: ColumnElement[bool]
) -> Any:
    """The three kinds of movements of a balance, in one table."""
    brought = select(
        supplies.c.at_offset.label("at"),
        func.coalesce(supplies.c.kind + literal(", ") + supplies.c.cause, supplies.c.kind).label("what"),
        supplies.c.supply_id.label("name"),
        supplies.c.time,
        supplies.c.amount,
    ).where(_brought(kind, owner, unit))
    made = step(kind.service)
    at_step = and_(condition, order_steps.c.service == kind.service.value)
    gone = _moved(kind.takes, order_steps.c.done_at, made.do.__name__, taken, amount)
    back = _moved(kind.gives_back, order_steps.c.undone_at, made.compensation.__name__, taken, amount)
    both = (State.DONE.value, State.UNDONE.value)
    return union_all(
        brought,
        gone.where(at_step, order_steps.c.state.in_(both)),
        back.where(at_step, order_steps.c.state == State.UNDONE.value),
    ).subquery()


def _moved(
    what: str, at: ColumnElement[Any], record: str, taken: Any, amount: ColumnElement[Any]
) -> Select[Any]:
    same = and_(
        order_events.c.order_id == orders.c.order_id,
        order_events.c.type == record,
        order_events.c.at_offset == at,
    )
    return select(
        at.label("at"),
        literal(what).label("what"),
        orders.c.order_id.label("name"),
        order_events.c.time,
        amount,
    ).select_from(taken.outerjoin(order_events, same))


async def _statement(
    connection: AsyncConnection, of_balance: Select[Any], parts: Any, limit: int, before: int | None
) -> Statement | None:
    row = (await connection.execute(of_balance)).one_or_none()
    if row is None:
        return None
    version, closing = row[0], Decimal(row[1])
    known = select(parts).where(parts.c.at <= version)
    if before is not None:
        # Added up here: SQLite would add floats.
        later = (await connection.execute(known.where(parts.c.at >= before).limit(MOST_LATER + 1))).all()
        if len(later) > MOST_LATER:
            raise TooFarBack
        closing -= sum((_movement(each).amount for each in later), Decimal(0))
        known = known.where(parts.c.at < before)
    rows = (await connection.execute(known.order_by(parts.c.at.desc()).limit(limit + 1))).all()
    balance, movements = closing, []
    for each in map(_movement, rows[:limit]):
        movements.append((each, balance))
        balance -= each.amount
    return Statement(movements, balance, closing, len(rows) > limit)


def _movement(row: Any) -> Movement:
    is_supply = row.what.partition(",")[0] in SUPPLIES
    takes = row.what in (_MONEY.takes, _STOCK.takes)
    amount = Decimal(row.amount)
    return Movement(row.at, row.what, row.name, is_supply, row.time, -amount if takes else amount)
