"""Payment: takes the order's amount from the customer's account; the compensation gives it back.

An order that names a payment at a provider is paid there, and no account is touched.

A customer without any account pays per order, up to the limit. With the first deposit, in any currency, a customer pays
from accounts only: one that has no account in the order's currency has no funds in it.
"""

from decimal import Decimal
from typing import Final

from saga_app.core import money, route
from saga_app.core.decider import Decision, Position, Rows
from saga_app.core.errors import Fault, Rejected
from saga_app.core.moves import Moves, Short, Supply, balance, has_balances, policy_changed
from saga_app.core.numbers import NEVER
from saga_app.core.order import Order, digest
from saga_app.core.outside import Outside
from saga_app.core.records import (
    CaptureRequested,
    FundsDeposited,
    FundsWithdrawn,
    PolicyChanged,
    Reason,
    Record,
    RepaymentRequested,
    StepName,
)
from saga_app.core.row_keys import balance_key, deposit_key, policy_key, withdrawal_key
from saga_app.core.rows import Account, JournalRow, State

LIMIT: Final = Decimal("1000.00")
_EMPTY: Final = Account(NEVER, Decimal(0), Decimal(0))


def refuse(order: Order, account: Account | None, limit: Decimal) -> Reason | None:
    """The reason not to take this payment, or None."""
    if order.amount >= limit:
        return Reason.OVER_LIMIT
    if account is not None and account.balance < order.amount:
        return Reason.INSUFFICIENT_FUNDS
    return None


class Payment:
    """The rule of the payment service; see `participant.Rule`."""

    step = route.step(StepName.PAYMENT)
    accepts = (FundsDeposited, FundsWithdrawn, PolicyChanged, CaptureRequested, RepaymentRequested)
    journal = step.journal
    balances = "accounts"

    def __init__(self) -> None:
        short = Short(Reason.INSUFFICIENT_FUNDS, Reason.INSUFFICIENT_FUNDS)
        self._supplies = Supply(self.step.name, self.journal, self.balances, _EMPTY, short)

    def judge(self, order: Order, at: Position, rows: Rows) -> Reason | Moves:
        customer, limit = order.customer_id, limit_in_force(rows)
        if customer is None or is_paid_outside(order):
            return refuse(order, None, limit) or {}
        key = balance_key(customer, order.currency)
        account = balance(key, at, rows)
        if account is None and has_balances(customer, at, rows):
            account = _EMPTY
        assert account is None or isinstance(account, Account)
        reason = refuse(order, account, limit)
        if reason is not None:
            return reason
        return {} if account is None or not order.amount else {key: -order.amount}

    def outside(self, order: Order, rows: Rows) -> Outside | None:
        """The provider that the order names; an order of nothing is paid here."""
        if not is_paid_outside(order) or not order.amount:
            return None
        if order.payment_reference is not None:
            return Outside.of(order.payment_reference, begun=True)
        assert order.payment_method is not None
        return Outside.of(order.payment_method)

    def supply(self, record: Record, at: Position, rows: Rows) -> Decision:
        if isinstance(record, FundsDeposited):
            amount = money.normal(record.amount, record.currency)
            account = balance_key(record.customer_id, record.currency)
            key = deposit_key(record.customer_id, record.deposit_id)
            return self._supplies.decide(
                key, digest(f"{account} {amount}".encode()), {account: amount}, at, rows
            )
        if isinstance(record, FundsWithdrawn):
            amount = money.normal(record.amount, record.currency)
            account = balance_key(record.customer_id, record.currency)
            key = withdrawal_key(record.customer_id, record.withdrawal_id)
            content = digest(f"{account} {amount} {record.reason}".encode())
            return self._supplies.decide(key, content, {account: -amount}, at, rows, record.reason.value)
        assert isinstance(record, PolicyChanged)
        if record.limit is None:
            raise Rejected(
                Fault.INVALID, "the payment policy has a limit, and no parameter of another service"
            )
        row = JournalRow(at.version, State.DONE, digest(str(record.limit).encode()), limit=record.limit)
        return policy_changed(
            self.journal, policy_key(record.policy_id), row._replace(done_at=at.offset), rows
        )


def is_paid_outside(order: Order) -> bool:
    """True if the order names a payment at a provider, so that no account is touched."""
    return order.payment_method is not None or order.payment_reference is not None


def limit_in_force(rows: Rows) -> Decimal:
    """Orders of this amount or more are refused, in units of the order's currency."""
    policy = rows.policy()
    return LIMIT if policy is None or policy.limit is None else policy.limit
