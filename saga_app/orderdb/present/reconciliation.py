"""The reconciliation of a balance: the amount that came in is still there, or orders have it. No SQL here."""

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from saga_app.core.rows import OPEN_STATUSES
from saga_app.orderdb.queries import accounts, stock

Amount = int | Decimal
_UNCERTAIN = "the copy is made topic by topic, so ask again; `saga audit` is certain"


class LabelledAmount(NamedTuple):
    """An amount and its name."""

    word: str
    amount: Amount


class Reconciliation(NamedTuple):
    """The amount that came in, and its parts. `ended` is the amount that ended orders have.

    The last part should be equal to `ended`; `surplus` says why `ended` may be more.
    """

    whole: LabelledAmount
    parts: tuple[LabelledAmount, ...]
    ended: Amount
    surplus: str

    @property
    def unaccounted(self) -> Amount:
        """The amount that is in no order of this copy; below zero, the amount that the orders have too much."""
        return self.parts[-1].amount - self.ended

    def in_words(self) -> str:
        """One line."""
        text = " + ".join(f"{part.word} {part.amount:,}" for part in self.parts)
        text = f"{self.whole.word} {self.whole.amount:,} = {text}"
        if self.unaccounted > 0:
            text += f"; {self.unaccounted:,} of that in no order of this copy: {_UNCERTAIN}"
        if self.unaccounted < 0:
            text += f"; {-self.unaccounted:,} more {self.surplus}"
        return text


def of_stock(balance: stock.StockBalance, accounted: Mapping[str, int]) -> Reconciliation:
    """Reconciles an article with the units that orders have, by status; see `stock.accounted`."""
    parts = (
        LabelledAmount("available", balance.available),
        LabelledAmount("reserved", balance.reserved),
        LabelledAmount("sold", balance.sold),
    )
    return Reconciliation(
        LabelledAmount("received", balance.received), parts, _ended(accounted), f"in orders: {_UNCERTAIN}"
    )


def of_account(balance: accounts.AccountBalance, accounted: Mapping[str, Decimal]) -> Reconciliation:
    """Reconciles an account with the money that orders have paid, by status; see `accounts.accounted`."""
    parts = (
        LabelledAmount("balance", balance.balance),
        LabelledAmount("reserved", balance.reserved),
        LabelledAmount("paid", balance.paid),
    )
    without = "was paid before the first deposit, without an account"
    return Reconciliation(LabelledAmount("deposited", balance.deposited), parts, _ended(accounted), without)


def _ended(accounted: Mapping[str, int] | Mapping[str, Decimal]) -> Amount:
    return sum((amount for status, amount in accounted.items() if status not in OPEN_STATUSES), 0)
