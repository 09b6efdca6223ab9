"""Compares a provider's ledger with the journal of a step: what one has and the other does not.

It is pure: whoever calls it has read both, the ledger first. What is still asked for is no difference: the dispatcher
will know. Both change while they are read, so a difference counts if a second reading has it too: see `confirmed`.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, NamedTuple

from saga_app.core.records import Outcome
from saga_app.core.route import is_captured_later
from saga_app.core.rows import ASKED_STATES, STANDING_STATES, JournalRow, State
from saga_app.effects.ports import Effect


class Kind(StrEnum):
    """The four kinds of difference."""

    #: The provider has the effect, and the journal has no order that wants it: give it back, or find the order. Or it
    #: has taken money that should only be authorised yet.
    UNWANTED = "unwanted"
    #: The journal says that it is done, and the provider does not.
    MISSING = "missing"
    #: It takes nothing, but somebody could still confirm it: `--tidy` cancels it.
    ORPHAN = "orphan"
    #: Both have it, with another amount or currency.
    AMOUNT = "amount"


class LedgerDifference(NamedTuple):
    """One difference, in words of both sides."""

    kind: Kind
    order_id: str
    reference: str
    provider: str
    journal: str


#: Does this segment of orders, or None, have its rows no more?
IsEvicted = Callable[[str | None], bool]
_NOTHING: Final = "nothing"
#: The provider has the money, or holds it.
_THERE: Final = frozenset({Outcome.DONE, Outcome.CAPTURED})


def differences(
    ledger: Iterable[Effect], rows: Mapping[str, JournalRow], since: datetime, is_evicted: IsEvicted
) -> Iterator[LedgerDifference]:
    """`rows`: by order id, those of this provider. `ledger` should begin long before `since`, by the life of an effect
    that a customer begins, so that what was asked for after `since` is found: only effects and rows since then count.
    """
    found = set()
    for effect in ledger:
        if effect.order_id is None or not effect.reference:
            continue
        row = rows.get(effect.order_id)
        if row is not None and effect.segment not in (None, row.segment):
            row = None
        if row is not None and _reference(row) == effect.reference:
            found.add(effect.reference)
            kind = _of_its_row(effect, row)
        elif effect.at < since or (row is None and is_evicted(effect.segment)):
            kind = None
        else:
            kind = _of_no_row(effect, row)
        if kind is not None:
            yield LedgerDifference(
                kind, effect.order_id, effect.reference, _provider_says(effect), _journal_says(row)
            )
    yield from _without_effect(found, rows, since)


def confirmed(
    first: Collection[LedgerDifference], second: Iterable[LedgerDifference]
) -> list[LedgerDifference]:
    """The differences that both readings have, in the order of the second one."""
    return [each for each in second if each in first]


def _of_its_row(effect: Effect, row: JournalRow) -> Kind | None:
    """The journal names this effect."""
    if row.state in ASKED_STATES:
        return None
    if row.state not in STANDING_STATES:
        return _left_over(effect)
    if effect.outcome not in _THERE:
        return Kind.MISSING
    if row.outside is not None and is_captured_later(row.outside.as_order):
        if row.state is State.DONE and effect.outcome is Outcome.CAPTURED:
            return Kind.UNWANTED
        if row.state is State.CAPTURED and effect.outcome is Outcome.DONE:
            return Kind.MISSING
    return Kind.AMOUNT if _differs(effect, row) else None


def _of_no_row(effect: Effect, row: JournalRow | None) -> Kind | None:
    """The journal names another effect, or none."""
    if row is not None and row.state in ASKED_STATES and _reference(row) is None:
        # Its name may be on its way into the row.
        return None
    if row is None and effect.effect is None and effect.outcome not in _THERE:
        # The front end has made it, and the customer has not ordered yet.
        return None
    return _left_over(effect)


def _left_over(effect: Effect) -> Kind | None:
    """Nobody wants this effect."""
    if effect.outcome in _THERE:
        return Kind.UNWANTED
    return Kind.ORPHAN if effect.outcome is Outcome.PENDING else None


def _without_effect(
    found: Collection[str], rows: Mapping[str, JournalRow], since: datetime
) -> Iterator[LedgerDifference]:
    for order_id, row in rows.items():
        if row.state not in STANDING_STATES - ASKED_STATES or row.outside is None:
            continue
        reference, asked_at = row.outside.reference or "", row.outside.asked_at / 1000
        if reference not in found and datetime.fromtimestamp(asked_at, UTC) >= since:
            yield LedgerDifference(Kind.MISSING, order_id, reference, _NOTHING, _journal_says(row))


def _reference(row: JournalRow) -> str | None:
    return None if row.outside is None else row.outside.reference


def _differs(effect: Effect, row: JournalRow) -> bool:
    if effect.amount is None or row.outside is None:
        return False
    order = row.outside.as_order
    return (effect.amount, effect.currency) != (order.amount, order.currency)


def _provider_says(effect: Effect) -> str:
    money = "" if effect.amount is None else f" {effect.amount} {effect.currency}"
    return f"{effect.outcome}{money}"


def _journal_says(row: JournalRow | None) -> str:
    if row is None or row.outside is None:
        return _NOTHING
    order = row.outside.as_order
    return f"{row.state} {row.outside.reference or _NOTHING} {order.amount} {order.currency}"
