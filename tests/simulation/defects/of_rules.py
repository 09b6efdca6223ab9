"""Rules that leave something out, repeat it or miscalculate."""

from decimal import Decimal
from typing import Any

import pytest

from saga_app.core import checkout, inventory, patience, payment
from saga_app.core import moves as core_moves
from saga_app.core.decider import Decision, Position, Put, Rows, Verdict
from saga_app.core.moves import Moves, Supply, inverse, is_short, moved
from saga_app.core.numbers import Version
from saga_app.core.order import digest
from saga_app.core.participant import Participant
from saga_app.core.records import DeadlinePassed, Do, FundsDeposited, Reason, Record, StepRequest, Undo
from saga_app.core.retention.rows import EarlyCancellation
from saga_app.core.rows import Account, State, Stock

decide = Participant.decide


def a_repeat_raises_the_version(patch: pytest.MonkeyPatch) -> None:
    """A row's version is the offset of the last record that changed it."""

    def raising(self: Participant, record: Record, at: Position, rows: Rows) -> Decision:
        decision = decide(self, record, at, rows)
        if decision.verdict is Verdict.REPEATED and isinstance(record, StepRequest):
            row = rows.journal(record.order_id)
            assert row is not None
            if row.version < at.offset:
                put = Put(self.journal, record.order_id, row._replace(version=Version(at.offset)))
                return decision._replace(journal=put)
        return decision

    patch.setattr(Participant, "decide", raising)


def a_repeat_is_not_answered(patch: pytest.MonkeyPatch) -> None:
    """A repeat sends the recorded outcome again."""

    def silent(self: Participant, record: Record, at: Position, rows: Rows) -> Decision:
        decision = decide(self, record, at, rows)
        return decision._replace(sends=()) if decision.verdict is Verdict.REPEATED else decision

    patch.setattr(Participant, "decide", silent)


def a_replay_is_not_answered(patch: pytest.MonkeyPatch) -> None:
    """The same, but only where the record is older than the row: seen by crashes alone."""

    def silent(self: Participant, record: Record, at: Position, rows: Rows) -> Decision:
        decision = decide(self, record, at, rows)
        row = rows.journal(record.order_id) if isinstance(record, StepRequest) else None
        return decision._replace(sends=()) if row is not None and row.version >= at.offset else decision

    patch.setattr(Participant, "decide", silent)


def moves_are_applied_per_record_on_a_replay(patch: pytest.MonkeyPatch) -> None:
    """Moves only where n = `done_at`, their inverse only where n = `undone_at`."""

    def careless(self: Participant, record: Record, at: Position, rows: Rows) -> Decision:
        decision = decide(self, record, at, rows)
        row = rows.journal(record.order_id) if isinstance(record, StepRequest) else None
        if row is None or row.version < at.offset:
            return decision
        moves: Moves = row.moves or {}
        if isinstance(record, Undo):
            moves = inverse(moves)
        return decision._replace(balances=moved(self.balances, moves, at, rows, replay=True))

    patch.setattr(Participant, "decide", careless)


def moves_are_not_applied_on_a_replay(patch: pytest.MonkeyPatch) -> None:
    """Balances that were not written behind the journal come back from it."""
    patch.setattr(Participant, "_replayed", lambda self, row, at, rows: ())


def no_tombstone(patch: pytest.MonkeyPatch) -> None:
    """An undo that overtakes its do turns it back when it comes."""

    def forgetful(self: Participant, record: Record, at: Position, rows: Rows) -> Decision:
        decision = decide(self, record, at, rows)
        row = decision.journal.row if decision.journal else None
        return decision._replace(journal=None) if getattr(row, "state", None) is State.VOID else decision

    patch.setattr(Participant, "decide", forgetful)


def an_undo_is_calculated_anew(patch: pytest.MonkeyPatch) -> None:
    """An undo moves what the row says was moved."""

    def anew(self: Participant, record: Record, at: Position, rows: Rows) -> Decision:
        decision = decide(self, record, at, rows)
        if isinstance(record, Undo) and getattr(decision.journal and decision.journal.row, "undone_at", None):
            verdict = self.rule.judge(record.order, at, rows)
            moves: Moves = {} if isinstance(verdict, str) else verdict
            return decision._replace(balances=moved(self.balances, inverse(moves), at, rows))
        return decision

    patch.setattr(Participant, "decide", anew)


def a_do_wins_over_an_earlier_undo(patch: pytest.MonkeyPatch) -> None:
    """A cancellation that reaches shipping first must win."""

    class WithoutVoid:
        """The rows, without those that are VOID."""

        def __init__(self, rows: Rows) -> None:
            self._rows = rows

        def __getattr__(self, name: str) -> Any:
            return getattr(self._rows, name)

        def journal(self, key: str) -> Any:
            row = self._rows.journal(key)
            return None if row is not None and row.state is State.VOID else row

    def forgiving(self: Participant, record: Record, at: Position, rows: Rows) -> Decision:
        return decide(self, record, at, WithoutVoid(rows) if isinstance(record, Do) else rows)

    patch.setattr(Participant, "decide", forgiving)


def money_is_float(patch: pytest.MonkeyPatch) -> None:
    """Money is Decimal, and never a float."""

    def added(self: Account, version: Version, amount: Decimal | int) -> Account:
        return Account(version, self.deposited, Decimal(float(self.balance) + float(amount)))

    patch.setattr(Account, "moved", added)


def deposits_share_their_ids_with_orders(patch: pytest.MonkeyPatch) -> None:
    """Deposits have a key space of their own in the journal."""

    def shared(self: payment.Payment, record: Record, at: Position, rows: Rows) -> Decision:
        if not isinstance(record, FundsDeposited):
            return supply(self, record, at, rows)
        account = f"{record.customer_id}:{record.currency}"
        moves: Moves = {account: record.amount}
        return self._supplies.decide(record.deposit_id, digest(repr(moves).encode()), moves, at, rows)

    supply = payment.Payment.supply
    patch.setattr(payment.Payment, "supply", shared)


def a_deposit_is_added_each_time(patch: pytest.MonkeyPatch) -> None:
    """Deposits and deliveries are journalled under their id, so that twice is once."""

    def again(self: Supply, key: str, content: str, moves: Moves, at: Position, *more: Any) -> Decision:
        return supply(self, f"{key}-{at.offset}", content, moves, at, *more)

    supply = Supply.decide
    patch.setattr(Supply, "decide", again)


def a_withdrawal_takes_more_than_there_is(patch: pytest.MonkeyPatch) -> None:
    """A withdrawal or an adjustment that would take more than is there is refused."""
    patch.setattr(core_moves, "is_short", lambda wanted: False)


def an_adjustment_is_made_in_part(patch: pytest.MonkeyPatch) -> None:
    """All lines of an adjustment are made, or none."""

    def in_part(
        self: Supply, key: str, content: str, wanted: Moves, at: Position, rows: Rows, *more: Any
    ) -> Decision:
        able = {name: each for name, each in wanted.items() if not is_short((name, each, rows.balance(name)))}
        return first(self, key, content, able or wanted, at, rows, *more)

    first = Supply._first
    patch.setattr(Supply, "_first", in_part)


def a_refused_withdrawal_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A refusal has a row: a repeat does not decide again, when more may be there."""

    def forgetful(self: Supply, *arguments: Any) -> Decision:
        decision = first(self, *arguments)
        refused = decision.journal is not None and getattr(decision.journal.row, "state", None)
        return decision._replace(journal=None) if refused is State.REFUSED else decision

    first = Supply._first
    patch.setattr(Supply, "_first", forgetful)


def stock_may_be_sold_twice(patch: pytest.MonkeyPatch) -> None:
    """No balance is below zero."""

    def generous(wanted: list[tuple[Stock | None, int]]) -> Reason | None:
        return None if all(stock for stock, _ in wanted) else refuse(wanted)

    refuse = inventory.refuse
    patch.setattr(inventory, "refuse", generous)


def tries_are_not_raised(patch: pytest.MonkeyPatch) -> None:
    """Every deadline that is not stale raises `tries`."""

    def changed(row: Any, record: checkout.AboutOrder, to: Any, at: Position) -> Any:
        return change(row, record, to, at)._replace(tries=row.tries)

    change = checkout._changed
    patch.setattr(checkout, "_changed", changed)


def the_policy_of_now_says_how_long_an_order_waits(patch: pytest.MonkeyPatch) -> None:
    """An order keeps the patience with which it was placed: a policy that comes later changes it for new ones only."""

    def changing(self: checkout.Checkout, record: Record, at: Position, rows: Rows) -> Decision:
        if isinstance(record, DeadlinePassed):
            of_now = checkout.patience_in_force(rows)
            record = record.model_copy(update={"last": patience.is_last(of_now, record.attempt)})
        return answer(self, record, at, rows)

    answer = checkout.Checkout.decide
    patch.setattr(checkout.Checkout, "decide", changing)


def a_nudge_is_not_answered(patch: pytest.MonkeyPatch) -> None:
    """A nudge starts the order again, so that a lost step request is sent once more."""

    def silent(self: checkout.Checkout, record: Record, at: Position, rows: Rows) -> Decision:
        decision = answer(self, record, at, rows)
        return decision._replace(sends=()) if record.type == "DeadlinePassed" else decision

    answer = checkout.Checkout.decide
    patch.setattr(checkout.Checkout, "decide", silent)


def an_early_cancellation_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A cancellation that overtakes its order is kept, and meets it."""

    def forgetful(self: checkout.Checkout, record: Record, at: Position, rows: Rows) -> Decision:
        decision = answer(self, record, at, rows)
        kept = decision.journal is not None and isinstance(decision.journal.row, EarlyCancellation)
        return decision._replace(journal=None, others=()) if kept else decision

    answer = checkout.Checkout.decide
    patch.setattr(checkout.Checkout, "decide", forgetful)


def an_early_cancellation_cancels_later_orders_too(patch: pytest.MonkeyPatch) -> None:
    """A cancellation meets one order, and none that has the same id later."""

    def any_order(early: EarlyCancellation | None, at: Position) -> bool:
        return early is not None

    patch.setattr(checkout, "is_waiting", any_order)


def an_early_cancellation_is_met_before_it_is_replayed(patch: pytest.MonkeyPatch) -> None:
    """A row of an order says that its cancellation has met it, so a replay of the order still finds it."""

    def waiting(early: EarlyCancellation | None, at: Position) -> bool:
        return early is not None and early.met_at is None

    patch.setattr(checkout, "is_waiting", waiting)
