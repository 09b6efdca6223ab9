"""What the order database is asked about accounts: how much money each customer has, and which orders took some."""

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from saga_app.core.records import StepName
from saga_app.core.rows import OPEN_STATUSES, State
from saga_app.orderdb.queries.orders import Listed, begins, is_id, newest
from saga_app.orderdb.schema import accounts, order_steps, orders

#: Customer and currency.
Holder = tuple[str, str]


class AccountBalance(NamedTuple):
    """Money in units of the currency: what was deposited is there, or was paid; `reserved` is what open orders paid.

    An order that is paid before its customer's first deposit takes nothing from the account. While it is open it is in
    `reserved` all the same, and `paid` too low by as much.
    """

    customer_id: str
    currency: str
    deposited: Decimal
    balance: Decimal
    reserved: Decimal

    @property
    def paid(self) -> Decimal:
        """What is neither there nor reserved."""
        return self.deposited - self.balance - self.reserved


async def page(
    connection: AsyncConnection, limit: int, after: Holder | None = None, q: str = ""
) -> list[AccountBalance]:
    """So many accounts, by customer and currency, of customers who begin with `q`; `after` ends the page before."""
    if not all(is_id(each) for each in (q, *(after or ())) if each):
        return []
    asked = select(accounts).limit(limit)
    if q:
        asked = asked.where(begins(accounts.c.customer_id, q))
    if after is not None:
        asked = asked.where(tuple_(accounts.c.customer_id, accounts.c.currency) > tuple_(*after))
    return await _balances(connection, asked)


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
    asked = _paid(orders.c.order_id, orders.c.status, orders.c.amount, orders.c.placed_at)
    asked = asked.where(orders.c.customer_id == customer, orders.c.currency == currency)
    return await newest(connection, asked, limit, before, open_only=open_only)


async def accounted(connection: AsyncConnection, customer_id: str) -> dict[Holder, dict[str, Decimal]]:
    """Money that the customer's orders have paid, by account and by the order's status: each amount added up."""
    if not is_id(customer_id):
        return {}
    asked = _paid(orders.c.customer_id, orders.c.currency, orders.c.status, orders.c.amount)
    found: dict[Holder, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    # Added up here: SQLite would do it in floats.
    for customer, currency, status, amount in await connection.execute(
        asked.where(orders.c.customer_id == customer_id)
    ):
        found[customer, currency][status] += amount
    return {holder: dict(each) for holder, each in found.items()}


async def _balances(connection: AsyncConnection, asked: Select[Any]) -> list[AccountBalance]:
    found = (await connection.execute(asked.order_by(accounts.c.customer_id, accounts.c.currency))).all()
    reserved = await _reserved(connection, {row.customer_id for row in found})
    return [
        AccountBalance(
            row.customer_id,
            row.currency,
            row.deposited,
            row.balance,
            # A sum of nothing has the account's digits too.
            row.balance * 0 + reserved[row.customer_id, row.currency],
        )
        for row in found
    ]


async def _reserved(connection: AsyncConnection, customers: Iterable[str]) -> dict[Holder, Decimal]:
    """What open orders have paid."""
    found: dict[Holder, Decimal] = defaultdict(Decimal)
    asked = _paid(orders.c.customer_id, orders.c.currency, orders.c.amount).where(
        orders.c.customer_id.in_(sorted(customers)), orders.c.status.in_(sorted(OPEN_STATUSES))
    )
    for customer, currency, amount in await connection.execute(asked):
        found[customer, currency] += amount
    return found


def _paid(*columns: Any) -> Select[Any]:
    """Of orders for which payment has taken the money, and not refunded it."""
    taken = (order_steps.c.service == StepName.PAYMENT.value) & (order_steps.c.state == State.DONE.value)
    return select(*columns).select_from(
        orders.join(order_steps, (order_steps.c.order_id == orders.c.order_id) & taken)
    )
