"""Rounds that do things in another sequence, or not at all."""

from collections.abc import Sequence
from typing import Any

import pytest

from saga_app.core.records import PolicyChanged, Record
from saga_app.engine import durability, misrouted
from saga_app.engine import round as rounds
from saga_app.engine.durability import Durability, Span
from saga_app.engine.round import Round
from saga_app.kafka.headers import is_sent_on
from saga_app.kafka.messages import Batch, Message, Outgoing


def publish_before_journal(patch: pytest.MonkeyPatch) -> None:
    """Every published record follows from a durable decision."""

    async def make_durable(self: Durability, spans: list[Span], sends: list[Outgoing]) -> None:
        touched, generation = sorted({span.partition for span in spans}), spans[0].generation
        rows, balances = self._rows(touched, self.decider.journal), self._rows(touched, self.decider.balances)
        reached = await self._publish(balances, sends, generation)
        reached.update(await self._journal(rows, generation))
        _finish(self, spans, rows | balances, reached)

    patch.setattr(Durability, "make_durable", make_durable)


def acknowledge_before_publish(patch: pytest.MonkeyPatch) -> None:
    """The committed offset never runs ahead of anything."""

    async def make_durable(self: Durability, spans: list[Span], sends: list[Outgoing]) -> None:
        touched, generation = sorted({span.partition for span in spans}), spans[0].generation
        rows, balances = self._rows(touched, self.decider.journal), self._rows(touched, self.decider.balances)
        reached = await self._journal(rows, generation)
        for span in spans:
            self.inbox.done(*span)
        reached.update(await self._publish(balances, sends, generation))
        self._apply(spans, rows | balances, reached)

    patch.setattr(Durability, "make_durable", make_durable)


def apply_before_journal(patch: pytest.MonkeyPatch) -> None:
    """The disk never runs ahead of the changelog."""

    async def make_durable(self: Durability, spans: list[Span], sends: list[Outgoing]) -> None:
        touched, generation = sorted({span.partition for span in spans}), spans[0].generation
        rows, balances = self._rows(touched, self.decider.journal), self._rows(touched, self.decider.balances)
        self._apply(spans, rows | balances, {})
        await self._journal(rows, generation)
        await self._publish(balances, sends, generation)
        for span in spans:
            self.inbox.done(*span)

    patch.setattr(Durability, "make_durable", make_durable)


def balances_before_the_journal(patch: pytest.MonkeyPatch) -> None:
    """Balances never run ahead of the journal."""

    async def make_durable(self: Durability, spans: list[Span], sends: list[Outgoing]) -> None:
        touched, generation = sorted({span.partition for span in spans}), spans[0].generation
        rows, balances = self._rows(touched, self.decider.journal), self._rows(touched, self.decider.balances)
        reached = await self._publish(balances, (), generation)
        reached.update(await self._journal(rows, generation))
        await self._publish({}, sends, generation)
        _finish(self, spans, rows | balances, reached)

    patch.setattr(Durability, "make_durable", make_durable)


def reached_is_taken_from_the_last_row(patch: pytest.MonkeyPatch) -> None:
    """A round raises *reached* only if its rows follow without a gap."""
    patch.setattr(durability, "contiguous", lambda reached, offsets: offsets[-1] + 1 if offsets else reached)


def a_bad_record_is_dropped(patch: pytest.MonkeyPatch) -> None:
    """A record is never dropped in silence."""

    def dropping(
        self: Round, batch: Batch, fitting: int, sends: list[Outgoing], *, begun: bool
    ) -> tuple[int, bool]:
        found: list[Outgoing] = []
        answer = decide_batch(self, batch, fitting, found, begun=begun)
        sends.extend(each for each in found if each.topic != "dead_letters")
        return answer

    decide_batch = Round._decide_batch
    patch.setattr(Round, "_decide_batch", dropping)


def the_sent_on_marker_is_ignored(patch: pytest.MonkeyPatch) -> None:
    """A record that is marked and still in a wrong partition is a dead letter."""

    def unmarked(record: Record, message: Message, partition: int, partitions: int) -> bool:
        return misrouted.is_misrouted(record, message._replace(headers=()), partition, partitions)

    patch.setattr(rounds, "is_misrouted", unmarked)


def a_policy_reaches_one_partition_less(patch: pytest.MonkeyPatch) -> None:
    """One record is enough: every partition gets a copy of a policy."""

    def too_few(record: Record, message: Message, partition: int, partitions: int) -> Sequence[int]:
        return misrouted.spread_to(record, message, partition, partitions)[:-1]

    patch.setattr(rounds, "spread_to", too_few)


def a_policy_is_spread_from_where_it_is(patch: pytest.MonkeyPatch) -> None:
    """All changes of policy come to one partition first, so that all partitions see them in the same sequence."""

    def at_home(record: Record, message: Message, partition: int, partitions: int) -> bool:
        return not isinstance(record, PolicyChanged) and misrouted.is_misrouted(
            record, message, partition, partitions
        )

    def spread_to(record: Record, message: Message, partition: int, partitions: int) -> Sequence[int]:
        if not isinstance(record, PolicyChanged) or is_sent_on(message.headers):
            return ()
        return [each for each in range(partitions) if each != partition]

    patch.setattr(rounds, "is_misrouted", at_home)
    patch.setattr(rounds, "spread_to", spread_to)


def _finish(self: Durability, spans: list[Span], rows: Any, reached: Any) -> None:
    self._apply(spans, rows, reached)
    for span in spans:
        self.inbox.done(*span)
