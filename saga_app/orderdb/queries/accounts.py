"""Queries about accounts: the money of each customer, and the orders that were paid with it."""

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from saga_app.core.records import StepName
from saga_app.core.rows import OPEN_STATUSES, State
from saga_app.orderdb.queries.ids import begins, is_id
from saga_app.orderdb.queries.orders import Listed, newest
from saga_app.orderdb.schema import accounts, order_steps, orders

#: Customer and currency.
Holder = tuple[str, str]


class AccountBalance(NamedTuple):
    """Money in units of the currency: deposited = balance + reserved + paid; open orders have paid `reserved`.

    An order that is paid before its customer's first deposit takes nothing from the account. While it is open,
    `reserved` contains its amount all the same, and `paid` is too low by that amount.
    """

    customer_id: str
    currency: str
    deposited: Decimal
    balance: Decimal
    reserved: Decimal

    @property
    def paid(self) -> Decimal:
        """The money that ended orders have paid."""
        return self.deposited - self.balance - self.reserved


async def page(
    connection: AsyncConnection, limit: int, after: Holder | None = None, q: str = ""
) -> list[AccountBalance]:
    """A page of accounts, by customer and currency, of customers whose id begins with `q`.

    `after` is the last account of the page before.
    """
    if not all(is_id(each) for each in (q, *(after or ())) if each):
        return []
    query = select(accounts).limit(limit)
    if q:
        query = query.where(begins(accounts.c.customer_id, q))
    if after is not None:
        query = query.where(tuple_(accounts.c.customer_id, accounts.c.currency) > tuple_(*after))
    return await _balances(connection, query)


async def one(connection: AsyncConnection, customer_id: str) -> list[AccountBalance]:
    """The customer's account in each currency."""
    if not is_id(customer_id):
        return []
    return await _balances(connection, select(accounts).where(accounts.c.customer_id == customer_id))


async def holders(
    connection: AsyncConnection,
    holder: Holder,
    limit: int,
    before: tuple[int, str] | None = None,
    *,
    open_only: bool = False,
) -> list[Listed]:
    """The customer's orders that are paid, newest first: `order_id, status, amount, placed_at`."""
    customer, currency = holder
    query = _paid(orders.c.order_id, orders.c.status, orders.c.amount, orders.c.placed_at)
    query = query.where(orders.c.customer_id == customer, orders.c.currency == currency)
    return await newest(connection, query, limit, before, open_only=open_only)


async def accounted(connection: AsyncConnection, customer_id: str) -> dict[Holder, dict[str, Decimal]]:
    """The money that the customer's orders have paid: by account, a sum for each order status."""
    if not is_id(customer_id):
        return {}
    query = _paid(orders.c.customer_id, orders.c.currency, orders.c.status, orders.c.amount)
    found: dict[Holder, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    # Added up here: SQLite would add floats.
    for customer, currency, status, amount in await connection.execute(
        query.where(orders.c.customer_id == customer_id)
    ):
        found[customer, currency][status] += amount
    return {holder: dict(each) for holder, each in found.items()}


async def _balances(connection: AsyncConnection, query: Select[Any]) -> list[AccountBalance]:
    found = (await connection.execute(query.order_by(accounts.c.customer_id, accounts.c.currency))).all()
    reserved = await _reserved(connection, {row.customer_id for row in found})
    return [
        AccountBalance(
            row.customer_id,
            row.currency,
            row.deposited,
            row.balance,
            # So that a sum of no orders has as many decimal places as the balance.
            row.balance * 0 + reserved[row.customer_id, row.currency],
        )
        for row in found
    ]


async def _reserved(connection: AsyncConnection, customers: Iterable[str]) -> dict[Holder, Decimal]:
    """The money that open orders have paid."""
    found: dict[Holder, Decimal] = defaultdict(Decimal)
    query = _paid(orders.c.customer_id, orders.c.currency, orders.c.amount).where(
        orders.c.customer_id.in_(sorted(customers)), orders.c.status.in_(sorted(OPEN_STATUSES))
    )
    for customer, currency, amount in await connection.execute(query):
        found[customer, currency] += amount
    return found


def _paid(*columns: Any) -> Select[Any]:
    """Selects columns of the orders for which payment has taken the money, and not refunded it."""
    taken = (order_steps.c.service == StepName.PAYMENT.value) & (order_steps.c.state == State.DONE.value)
    return select(*columns).select_from(
        orders.join(order_steps, (order_steps.c.order_id == orders.c.order_id) & taken)
    )
