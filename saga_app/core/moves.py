"""Money and stock move: a step takes them, its compensation gives them back; others come and go without an order."""

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from saga_app.core.decider import Decision, Position, Put, Rows, Verdict, repeated
from saga_app.core.errors import Fault, Rejected, RowsMissing
from saga_app.core.records import Reason, StepName
from saga_app.core.rows import Balance, JournalRow, State

#: Key of a balance to signed amount: money in the currency's units, or units of stock.
Moves = Mapping[str, Decimal | int]


def same_content(row: JournalRow, content: str, what: str) -> None:
    """`Rejected` if the row was written for another content under the same id."""
    if row.content != content:
        raise Rejected(Fault.DIFFERENT_CONTENT, f"{what} is known with another content")


def inverse(moves: Moves | None) -> Moves:
    """A compensation moves back the amounts in the row, and never calculates them anew."""
    return {key: -amount for key, amount in (moves or {}).items()}


def balance(key: str, at: Position, rows: Rows) -> Balance | None:
    """The balance that a new decision reads; `RowsMissing` if a younger record wrote it already."""
    found = rows.balance(key)
    if found is not None:
        _require_older(found, key, at)
    return found


def has_balances(owner: str, at: Position, rows: Rows) -> bool:
    """True if the owner has a balance in any unit, for a new decision; see `balance`."""
    found = list(rows.balances_of(owner))
    for each in found:
        _require_older(each, f"of {owner}", at)
    return bool(found)


def _require_older(found: Balance, key: str, at: Position) -> None:
    if found.version >= at.offset:
        raise RowsMissing(f"deciding offset {at.offset}, but balance {key} is at version {found.version}")


def moved(
    table: str | None, moves: Moves, at: Position, rows: Rows, *, replay: bool = False
) -> tuple[Put, ...]:
    """The balances after the moves; on a replay, only the balances that do not have this record yet."""
    puts = []
    for key, amount in moves.items():
        found = rows.balance(key) if replay else balance(key, at, rows)
        if found is None:
            raise RowsMissing(f"offset {at.offset} moves balance {key}, which is not there")
        if found.version < at.offset:
            assert table is not None
            puts.append(Put(table, key, found.moved(at.version, amount)))
    return tuple(puts)


class Short(NamedTuple):
    """The reasons to take nothing from a balance: it is not there, or there is too little in it."""

    missing: Reason
    too_little: Reason


class Supply:
    """Money and stock that come and go without an order: each has a row of the journal under its own id.

    So a repeat moves nothing again. All moves are made or none: one that would take more than is there is refused, and
    its row says so.
    """

    def __init__(self, step: StepName, journal: str, balances: str, empty: Balance, short: Short) -> None:
        self.step = step
        self.journal = journal
        self.balances = balances
        self.empty = empty
        self.short = short

    def decide(
        self, key: str, content: str, moves: Moves, at: Position, rows: Rows, cause: str | None = None
    ) -> Decision:
        """Adds the moves to the balances; a new balance begins as an empty one."""
        row = rows.journal(key)
        if row is None:
            return self._first(key, content, moves, at, rows, cause)
        same_content(row, content, key)
        if row.done_at != at.offset:
            return repeated()
        found = [(name, amount, rows.balance(name)) for name, amount in moves.items()]
        return repeated(
            balances=[
                self._put(name, amount, known, at)
                for name, amount, known in found
                if known is None or known.version < at.offset
            ]
        )

    def _first(
        self, key: str, content: str, moves: Moves, at: Position, rows: Rows, cause: str | None
    ) -> Decision:
        found = [(name, amount, balance(name, at, rows)) for name, amount in moves.items()]
        done = JournalRow(at.version, State.DONE, content, done_at=at.offset, moves=moves, cause=cause)
        if (refused := next(filter(is_short, found), None)) is None:
            puts = tuple(self._put(*each, at) for each in found)
            return Decision(Verdict.APPLIED, Put(self.journal, key, done), puts)
        name, amount, known = refused
        reason = self.short.missing if known is None else self.short.too_little
        row = done._replace(state=State.REFUSED, done_at=None, reason=reason, step=self.step)
        there = "nothing" if known is None else known.left
        note = f"{key} is refused: it takes {-amount} from {name}, where {there} is"
        return Decision(Verdict.APPLIED, Put(self.journal, key, row), note=note)

    def _put(self, name: str, amount: Decimal | int, known: Balance | None, at: Position) -> Put:
        return Put(self.balances, name, (known or self.empty).supplied(at.version, amount))


def is_short(wanted: tuple[str, Decimal | int, Balance | None]) -> bool:
    """True if this move would take more from a balance than there is."""
    _, amount, known = wanted
    return amount < 0 and (known is None or known.left + amount < 0)


def policy_changed(journal: str, key: str, row: JournalRow, rows: Rows) -> Decision:
    """Writes a rule's parameters under their id; the policy with the highest version is in force."""
    known = rows.journal(key)
    if known is None:
        return Decision(Verdict.APPLIED, Put(journal, key, row))
    same_content(known, row.content, key)
    return repeated()
