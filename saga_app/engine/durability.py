"""The steps of a round that follow the decision: journal, publish, apply, acknowledge, in exactly this sequence."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from saga_app.core.decider import Decider
from saga_app.core.numbers import Generation, Offset
from saga_app.core.row_keys import is_milestone
from saga_app.core.rows import Row
from saga_app.engine.partition_state import PartitionState
from saga_app.engine.ports import Inbox, Log, contiguous, row_record
from saga_app.kafka.messages import Outgoing, Place


class Point(StrEnum):
    """Between the steps; tests stop a worker here."""

    DECIDED = "decided"
    JOURNALLED = "journalled"
    PUBLISHED = "published"
    APPLIED = "applied"
    ACKNOWLEDGED = "acknowledged"


class Span(NamedTuple):
    """The part of a partition's inbox that this round decided."""

    partition: int
    start: Offset
    end: Offset
    generation: Generation


class RowsWritten(NamedTuple):
    """A changelog after a round: below `reached` the store holds every row, and at `end` the round's rows end.

    They differ after a late write of another worker, until the next restore.
    """

    reached: Offset
    end: Offset


#: Rows of the journal, by key.
Changed = Mapping[str, Row]
Rows = dict[Place, dict[bytes, bytes]]
Reached = dict[Place, RowsWritten]


class Durability:
    """Makes decisions of one agent durable, and lets out what follows from them."""

    def __init__(
        self,
        decider: Decider,
        changelog: Callable[[str], str],
        *,
        inbox: Inbox,
        journal: Log,
        publisher: Log,
        states: Mapping[int, PartitionState],
        passing: Callable[[Point], None],
        applied: Callable[[int, Changed], None],
    ) -> None:
        self.decider = decider
        self.changelog = changelog
        self.inbox = inbox
        self.journal = journal
        self.publisher = publisher
        self.states = states
        self.passing = passing
        self.applied = applied

    async def make_durable(self, spans: Sequence[Span], sends: Sequence[Outgoing]) -> None:
        """Steps 2 to 5, in exactly this order."""
        if not spans:
            return
        generation = spans[0].generation
        touched = sorted({span.partition for span in spans})
        self.passing(Point.DECIDED)
        rows = self._rows(touched, self.decider.journal)
        reached = await self._journal(rows, generation)
        self.passing(Point.JOURNALLED)
        balances = self._rows(touched, self.decider.balances)
        reached.update(await self._publish(balances, sends, generation))
        self.passing(Point.PUBLISHED)
        self._apply(spans, rows | balances, reached)
        self.passing(Point.APPLIED)
        for span in spans:
            self.inbox.done(*span)
        self.passing(Point.ACKNOWLEDGED)

    def _rows(self, partitions: Iterable[int], table: str | None) -> Rows:
        if table is None:
            return {}
        found = {(table, partition): self.states[partition].decided(table) for partition in partitions}
        return {place: rows for place, rows in found.items() if rows}

    async def _journal(self, rows: Rows, generation: Generation) -> Reached:
        return await self._write(self.journal, rows, _in_sequence(self._records(rows)), generation)

    async def _publish(self, balances: Rows, sends: Iterable[Outgoing], generation: Generation) -> Reached:
        return await self._write(self.publisher, balances, [[*self._records(balances), *sends]], generation)

    def _records(self, rows: Rows) -> list[Outgoing]:
        return [
            row_record(self.changelog(table), partition, key, value)
            for (table, partition), changed in rows.items()
            for key, value in changed.items()
        ]

    async def _write(
        self, log: Log, rows: Rows, appends: Iterable[Sequence[Outgoing]], generation: Generation
    ) -> Reached:
        """Writes these records, one append after the other; how far the changelog of each row is held afterwards.

        Where there is nothing to write, the log is asked all the same whether this worker may: one that was paused
        while it restored decides on old rows, and must not note on its disk what it has seen.
        """
        offsets: defaultdict[Place, list[Offset]] = defaultdict(list)
        for records in appends:
            for place, written in (await log.append(records, generation)).items():
                offsets[place].extend(written)
        return {
            (table, partition): _behind(
                self.states[partition].stores[table].reached, offsets[self.changelog(table), partition]
            )
            for table, partition in rows
        }

    def _apply(self, spans: Sequence[Span], rows: Rows, reached: Reached) -> None:
        ends = {span.partition: span.end for span in spans}
        for partition, end in ends.items():
            state = self.states[partition]
            for table, store in state.stores.items():
                changed = rows.get((table, partition), {})
                inbox = end if table == self.decider.journal else None
                written = reached.get((table, partition))
                if changed or inbox is not None:
                    store.write(changed, store.reached if written is None else written.reached, inbox)
                if written is not None:
                    state.ends[table] = written.end
            changes = state.changed()
            state.clear()
            self.applied(partition, changes)


def _behind(reached: Offset, offsets: Sequence[Offset]) -> RowsWritten:
    held = contiguous(reached, offsets)
    return RowsWritten(held, max([held, *(Offset(each + 1) for each in offsets[-1:])]))


def _in_sequence(records: Iterable[Outgoing]) -> list[list[Outgoing]]:
    """Each in its turn: the rows that a low watermark rests on, the low watermark, the tombstones, the names of orders.

    Of one append a part may be lost and what follows it written: the log promises no order between partitions.
    """
    appends: list[list[Outgoing]] = [[]]
    for record in records:
        if is_milestone(record.key or b""):
            appends += [record], []
        else:
            appends[-1].append(record)
    return [each for each in appends if each] or [[]]
