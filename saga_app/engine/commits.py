"""The group's commits: the notes beside them, which say how far changelogs reach, read and written."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final

from saga_app.core.decider import Service
from saga_app.core.numbers import FIRST, Generation, Offset
from saga_app.engine.commit_note import UNFINISHED, CommitNote, InboxMark, note_in
from saga_app.engine.exits import Exit, Fatal
from saga_app.engine.partition_state import PartitionState
from saga_app.engine.ports import Log
from saga_app.engine.stores.extent import Demand
from saga_app.engine.stores.manager import Read, StoreManager, Superseded
from saga_app.engine.stores.rocks import RocksStore
from saga_app.kafka.messages import Place

#: Seconds until a note that the group did not take is sent again.
RETRY: Final = 0.2
#: Commits offsets with their notes; False if the group does not take them.
Commit = Callable[[Mapping[Place, tuple[Offset, str]]], Awaitable[bool]]


async def _not_connected(commits: Mapping[Place, tuple[Offset, str]]) -> bool:
    return False


class GroupCommits:
    """The commits of the group as this worker has found them, and the notes of its own."""

    def __init__(
        self,
        services: Sequence[Service],
        store_manager: StoreManager,
        states: Mapping[str, Mapping[int, PartitionState]],
        retry: float = RETRY,
    ) -> None:
        self._services = services
        self._store_manager = store_manager
        self._states = states
        self._retry = retry
        self._committed: Mapping[Place, Offset] = {}
        #: The mark of each inbox partition, from the group's notes.
        self.marks: Mapping[Place, InboxMark | None] = {}
        #: Set by the consumer.
        self.send: Commit = _not_connected

    def learn(self, commits: Mapping[Place, tuple[Offset, str]]) -> None:
        """The group's committed offsets with their notes, before anything of this assignment is restored.

        `Fatal` if a command that changes topics has begun and is not finished.
        """
        for _, note in commits.values():
            if (command := UNFINISHED.get(note)) is not None:
                advice = f"`{command}` is at work, or was stopped: run it again, and start workers after it"
                raise Fatal(Exit.ROWS_LOST, f"nothing is decided now: {advice} (docs/how-to/recover.md)")
        notes = {place: found for place, (_, note) in commits.items() if (found := note_in(note)) is not None}
        self.marks = {place: note.inbox for place, note in notes.items()}
        self._store_manager.marks = self.marks
        self._store_manager.demands = {
            (table, partition): demand
            for (_, partition), note in notes.items()
            for table, demand in note.tables.items()
        }
        self._committed = {place: at for place, (at, _) in commits.items()}

    def note(self, place: Place) -> str:
        """The note to commit with the offset of an inbox partition; empty if the worker does not have it."""
        topic, partition = place
        state = self._states[topic].get(partition)
        ends = {} if state is None else {(table, partition): end for table, end in state.ends.items()}
        return self._note(place, (), ends)

    def _note(
        self, place: Place, lost: Collection[Place], ends: Mapping[Place, Offset], *, of_group: bool = False
    ) -> str:
        """`ends` are changelogs that are known to reach further than what the stores hold without a gap.

        `of_group`: the offset is the group's as it was, so the mark is too; a disk may know an older inbox.
        """
        topic, partition = place
        service = next(each for each in self._services if each.topic == topic)
        stores = {table: self._store_manager.stores.get((table, partition)) for table in service.tables}
        journal = stores[service.decider.journal]
        if journal is None:
            return ""
        tables = {
            table: self._demand((table, partition), store, ends, (table, partition) in lost)
            for table, store in stores.items()
            if store is not None and store.held
        }
        mark = self.marks.get(place)
        return CommitNote(mark if of_group else journal.mark or mark, tables).encode()

    def _demand(self, place: Place, store: RocksStore, ends: Mapping[Place, Offset], is_lost: bool) -> Demand:
        """The extent that every changelog and disk must have from now on; that of before where it was lost."""
        terms = self._store_manager.terms[place]
        if not is_lost:
            extent = store.held[0]
            reached = max(extent.reached, ends.get(place, FIRST))
            return Demand(extent._replace(reached=reached), is_lost, terms)
        demand = self._store_manager.demands.get(place)
        return Demand(store.held[1] if demand is None else demand.extent, is_lost, terms)

    async def repair(
        self, restored: Mapping[Place, Read], log: Log, generation: Generation, goes_on: Callable[[], bool]
    ) -> None:
        """Writes again what changelogs lost. The group hears of it before, as what a crash leaves must not look whole.

        It also hears when all rows are there again, so that any disk will do, and before the first write, from which
        offset on the rows are this worker's. `Superseded` when it need not go on.
        """
        lost = {place for place, read in restored.items() if read.is_lost}
        stores = self._store_manager.stores
        # Until stale rows are written again, a store claims less than the group knows already.
        known = {
            place: demand.extent.reached
            for place, demand in self._store_manager.demands.items()
            if place in restored and place not in lost and stores[place].topic_id == demand.extent.topic_id
        }
        await self._announce(lost.union(filter(self._is_committed, restored)), lost, known, goes_on)
        self._store_manager.begin_terms(restored.keys() - lost)
        await self._store_manager.repair(restored, log, generation)
        await self._announce(lost, (), {}, goes_on)
        self._store_manager.begin_terms(lost)

    def _is_committed(self, place: Place) -> bool:
        """Without a committed offset there is no note; the first one comes with the first commit."""
        table, partition = place
        return any(
            (service.topic, partition) in self._committed
            for service in self._services
            if table in service.tables
        )

    async def _announce(
        self,
        places: Collection[Place],
        lost: Collection[Place],
        ends: Mapping[Place, Offset],
        goes_on: Callable[[], bool],
    ) -> None:
        """Commits the notes of these tables and partitions, with the offsets as they are."""
        pending: dict[Place, tuple[Offset, str]] = {}
        for service in self._services:
            for partition in {partition for table, partition in places if table in service.tables}:
                place = service.topic, partition
                store = self._store_manager.stores[service.decider.journal, partition]
                at = self._committed.get(place, store.inbox)
                if at is not None:
                    pending[place] = at, self._note(place, lost, ends, of_group=place in self._committed)
        while pending and not await self.send(pending):
            # The coordinator may be away for a moment; or the group has moved on, and tells so soon.
            if not goes_on():
                raise Superseded
            await asyncio.sleep(self._retry)
