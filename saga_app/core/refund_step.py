"""A refund at payment and at inventory: each does its part once, and sends the recorded outcome for every repeat.

Checkout has made all checks. Payment makes that of the money once more, in its own row: a request that no checkout sent
gives no more back than was paid. Inventory restocks no more than the order took, and never refuses.
"""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Final

from saga_app.core.decider import Decision, Position, Put, Rows, Verdict, repeated
from saga_app.core.errors import Fault, Rejected
from saga_app.core.machine import Transition
from saga_app.core.moves import Moves, moved
from saga_app.core.records import (
    Record,
    RefundCompleted,
    RefundReason,
    RefundRefused,
    RefundRequest,
    RepaymentRequested,
    RestockRequested,
)
from saga_app.core.refund_rows import RefundState, StepRefund
from saga_app.core.row_keys import balance_key
from saga_app.core.rows import JournalRow, State


class RefundStepInput(StrEnum):
    """A request for a part of a refund; the check is made only if the refund has no entry yet."""

    ACCEPTED = "requested, accepted"
    REFUSED = "requested, refused"
    AGAIN = "requested again"


class RefundStepOutput(StrEnum):
    """The way that a refund goes from here: on to the next part or to its end, or to its end as refused."""

    SEND_ON = "send on"
    SEND_BACK = "send back"


RefundStepTransition = Transition[RefundState, RefundStepOutput]

MACHINE: Final[Mapping[RefundState | None, Mapping[RefundStepInput, RefundStepTransition]]] = {
    None: {
        RefundStepInput.ACCEPTED: Transition(RefundState.DONE, RefundStepOutput.SEND_ON),
        RefundStepInput.REFUSED: Transition(RefundState.REFUSED, RefundStepOutput.SEND_BACK),
    },
    RefundState.DONE: {RefundStepInput.AGAIN: Transition(RefundState.DONE, RefundStepOutput.SEND_ON)},
    RefundState.REFUSED: {RefundStepInput.AGAIN: Transition(RefundState.REFUSED, RefundStepOutput.SEND_BACK)},
}


class RefundStep:
    """Decides the requests for refunds at a service with this journal and these balances."""

    def __init__(self, journal: str, balances: str | None) -> None:
        self.journal = journal
        self.balances = balances

    def decide(self, record: RefundRequest, row: JournalRow, at: Position, rows: Rows) -> Decision:
        """See `Decider.decide`; `row` is that of the order."""
        known = next((each for each in row.refunds if each.refund_id == record.refund.refund_id), None)
        if known is not None:
            return self._again(record, known, row, at, rows)
        if row.state is not State.DONE or row.version >= at.offset:
            raise not_done(record, row)
        found = given_back(record, row)
        kind = RefundStepInput.REFUSED if isinstance(found, RefundReason) else RefundStepInput.ACCEPTED
        transition = MACHINE[None][kind]
        refund = record.refund
        amount = refund.amount if isinstance(record, RepaymentRequested) else None
        entry = StepRefund(refund.refund_id, transition.to, refund.digest, amount=amount)
        if isinstance(found, RefundReason):
            entry = entry._replace(reason=found)
        else:
            entry = entry._replace(done_at=at.offset, moves=found)
        changed = row._replace(version=at.version, refunds=(*row.refunds, entry))
        return Decision(
            Verdict.APPLIED,
            Put(self.journal, record.order_id, changed),
            moved(self.balances, entry.moves, at, rows),
            (_send(transition.output, record, entry),),
        )

    def _again(
        self, record: RefundRequest, known: StepRefund, row: JournalRow, at: Position, rows: Rows
    ) -> Decision:
        if known.content != record.refund.digest:
            raise Rejected(
                Fault.DIFFERENT_CONTENT,
                f"refund {known.refund_id} of order {record.order_id} is known with another content",
            )
        balances: tuple[Put, ...] = ()
        if known.done_at == at.offset:
            balances = moved(self.balances, known.moves, at, rows, replay=True)
        return repeated([_send(MACHINE[known.state][RefundStepInput.AGAIN].output, record, known)], balances)


def given_back(record: RefundRequest, row: JournalRow) -> Moves | RefundReason:
    """The moves of this refund, which goes back where the order took from; or the reason to refuse it."""
    if isinstance(record, RepaymentRequested):
        before = sum((each.amount or 0 for each in row.refunds if each.state is RefundState.DONE), Decimal(0))
        amount = record.refund.amount
        if before + amount > record.order.amount:
            return RefundReason.MORE_THAN_PAID
        return dict.fromkeys(row.moves or (), amount) if amount else {}
    moves = {balance_key(record.order.warehouse, line.sku): line.quantity for line in record.refund.lines}
    for key, quantity in moves.items():
        taken = (row.moves or {}).get(key, 0) + sum(each.moves.get(key, 0) for each in row.refunds)
        if taken + quantity > 0:
            raise Rejected(
                Fault.CONTRADICTION,
                f"{type(record).__name__} for order {record.order_id} restocks more than it took",
            )
    return moves


def not_done(record: RefundRequest, row: JournalRow | None) -> Rejected:
    """No checkout sends this: only an order whose steps are done has refunds."""
    state = "not there" if row is None else row.state
    return Rejected(
        Fault.CONTRADICTION,
        f"{type(record).__name__} for order {record.order_id}, whose step is {state}; run `saga doctor`",
    )


def _send(output: RefundStepOutput, record: RefundRequest, entry: StepRefund) -> Record:
    order, segment, refund = record.order, record.segment, record.refund
    if output is RefundStepOutput.SEND_BACK:
        assert entry.reason is not None
        return RefundRefused(
            order_id=order.order_id, refund_id=refund.refund_id, reason=entry.reason, segment=segment
        )
    if isinstance(record, RepaymentRequested) and refund.restocks:
        return RestockRequested.of(type="RestockRequested", order=order, segment=segment, refund=refund)
    return RefundCompleted(order_id=order.order_id, refund_id=refund.refund_id, segment=segment)
