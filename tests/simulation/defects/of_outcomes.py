"""Workers that tell everybody outside too early, too late, or something else."""

from collections.abc import Sequence
from itertools import count

import pytest

from saga_app.core import checkout
from saga_app.core.decider import Decision, Position, Rows
from saga_app.core.outcome import OutcomePut
from saga_app.core.records import Reason
from saga_app.core.retention import segments
from saga_app.engine import round as rounds
from saga_app.engine.durability import Durability, Span
from saga_app.engine.round import Round
from saga_app.kafka import order_outcomes
from saga_app.kafka.messages import Batch, Outgoing
from saga_app.topics import ORDER_OUTCOMES


def told_before_the_journal(patch: pytest.MonkeyPatch) -> None:
    """Nobody outside hears of an ending that a crash may take back."""

    async def early(self: Durability, spans: Sequence[Span], sends: Sequence[Outgoing]) -> None:
        told = [each for each in sends if each.topic == ORDER_OUTCOMES]
        if told:
            await self.publisher.append(told, spans[0].generation)
        await make_durable(self, spans, [each for each in sends if each.topic != ORDER_OUTCOMES])

    make_durable = Durability.make_durable
    patch.setattr(Durability, "make_durable", early)


def not_told_on_a_replay(patch: pytest.MonkeyPatch) -> None:
    """A replay tells the outcome again: a crash may have come between the row and the outcome."""

    def silent(
        record: checkout.AboutOrder, row: checkout.KnownOrder, at: Position, rows: Rows
    ) -> Decision | None:
        decision = checkout.replayed(record, row, at, rows)
        return None if decision is None else decision._replace(outcomes=())

    guards = tuple(silent if each is checkout.replayed else each for each in checkout.GUARDS)
    patch.setattr(checkout, "GUARDS", guards)


def not_told_after_a_restore(patch: pytest.MonkeyPatch) -> None:
    """A worker tells how orders end that were placed before it came."""

    def decide_batch(
        self: Round, batch: Batch, fitting: int, sends: list[Outgoing], *, begun: bool
    ) -> tuple[int, bool]:
        first = begins.setdefault((id(self), batch.partition), batch.start)
        found: list[Outgoing] = []
        answer = original(self, batch, fitting, found, begun=begun)
        state = self.states[batch.partition]
        for each in found:
            row = state.order((each.key or b"").decode()) if each.topic == ORDER_OUTCOMES else None
            if row is None or getattr(row, "placed_at", first) >= first:
                sends.append(each)
        return answer

    begins: dict[tuple[int, int], int] = {}
    original = Round._decide_batch
    patch.setattr(Round, "_decide_batch", decide_batch)


def told_with_another_reason(patch: pytest.MonkeyPatch) -> None:
    """The outcome has the reason for which the order turned round first."""

    def record(put: OutcomePut) -> Outgoing:
        row = put.row
        if row is not None and row.reason is not None:
            put = put._replace(row=row._replace(reason=Reason.REQUESTED))
        return order_outcomes.outcome_record(put)

    patch.setattr(rounds, "outcome_record", record)


def a_repeat_has_another_id(patch: pytest.MonkeyPatch) -> None:
    """Whoever hears an outcome twice knows it by its id."""
    numbers = count()
    patch.setattr(order_outcomes, "event_id", lambda order_id, version: f"{order_id}:{next(numbers)}")


def the_outcome_of_an_evicted_order_stays(patch: pytest.MonkeyPatch) -> None:
    """The topic is as bounded as the tables."""
    patch.setattr(segments, "_removals", lambda order_ids, at: ())
