"""The store manager: the stores of one worker, opened, restored from their changelogs, thrown away, closed."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from secrets import token_hex
from typing import Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException

from saga_app import topics
from saga_app.core.decider import Service
from saga_app.core.numbers import FIRST, NEVER, Generation, Offset, Version, version_at
from saga_app.core.rows import version_of
from saga_app.engine.commit_note import InboxMark
from saga_app.engine.exits import Exit, Fatal
from saga_app.engine.ports import Log, contiguous, written_again
from saga_app.engine.stores import restore
from saga_app.engine.stores.changelog import MOST_AHEAD, MOST_VERSION, KafkaChangelog
from saga_app.engine.stores.errors import DiskFailed, StoreDamaged
from saga_app.engine.stores.extent import (
    Demand,
    Extent,
    LogRange,
    Remedy,
    RowsLost,
    Term,
    cut_while_running,
    remedy,
)
from saga_app.engine.stores.faults import fatal_faults, remove_condemned
from saga_app.engine.stores.placement import misplaced, owner_of_balance, owner_of_order
from saga_app.engine.stores.restore import Restored, Seen
from saga_app.engine.stores.rocks import Memory, RocksStore
from saga_app.kafka import offsets
from saga_app.kafka.broker_errors import Admin
from saga_app.kafka.messages import Place
from saga_app.kafka.topic_faults import FIXED
from saga_app.settings import Settings

logger = logging.getLogger(__name__)

#: Seconds until it is believed that a topic is gone.
ANSWER: Final = 10.0
#: Names terms.
_TERM_BYTES: Final = 4
#: Rows that are written again in one piece.
PIECE: Final = 2_000


class Superseded(Exception):
    """Another rebalance, or a stop, came before the restore was over."""


class Read(NamedTuple):
    """One changelog partition, as far as it was read, and what was found in it.

    `is_lost` says that the changelog lost rows that this store holds.
    """

    changelog: KafkaChangelog
    restored: Restored
    seen: Seen
    is_lost: bool = False


class StoreManager:
    """Every table of every partition that this worker owns."""

    def __init__(self, settings: Settings, services: Sequence[Service]) -> None:
        self.settings = settings
        self.folder: Path = settings.data_dir / "tables"
        self.stores: dict[Place, RocksStore] = {}
        #: By table and partition, how far its changelog must reach, as the group's commits say.
        self.demands: Mapping[Place, Demand] = {}
        #: By inbox and partition, the incarnation that the group's commit is of.
        self.marks: Mapping[Place, InboxMark | None] = {}
        #: By table and partition, the terms of its owners, with this worker's at the end.
        self.terms: dict[Place, tuple[Term, ...]] = {}
        #: By journal, the highest version that the last restore met.
        self._newest: dict[Place, Version] = {}
        self._tables_of = [(service.topic, service.tables) for service in services]
        self._journals = [service.decider.journal for service in services]
        self._balances = [
            service.decider.balances for service in services if service.decider.balances is not None
        ]
        orders = [service.decider.journal for service in services if service.topic == topics.CHECKOUT]
        self._owners = {
            **dict.fromkeys(self._balances, owner_of_balance),
            **dict.fromkeys(orders, owner_of_order),
        }

    def new_term(self) -> str:
        """A name that no term had."""
        return token_hex(_TERM_BYTES)

    def start(self) -> None:
        """Before anything else is called."""
        self._memory = Memory()

    def keep(self, partitions: Sequence[int]) -> None:
        """Closes the stores of all other partitions."""
        self._close([place for place in self.stores if place[1] not in partitions])

    def close(self) -> None:
        """Gives up all files."""
        self._close(list(self.stores))

    def restore(self, partitions: Sequence[int], goes_on: Callable[[], bool]) -> dict[Place, Read]:
        """In a thread: opens these partitions and brings them up to their changelogs' ends.

        `Superseded` when it need not go on. `Fatal` where rows were lost that no disk here holds: before any store
        is changed.
        """
        names = {table: self._changelog(table) for table in (*self._journals, *self._balances)}
        # One that lives as long as the worker may have lost its brokers (see `liveness`).
        admin = Admin(self.settings)
        ids = offsets.topic_ids(admin, names.values())
        places = [(table, each) for table in names for each in partitions]
        begins = offsets.beginnings(admin, [(names[table], each) for table, each in places])
        ends = self._ends(admin, names, partitions, goes_on)
        logs = {
            (table, each): LogRange(ids[topic], begins[topic, each], ends[topic, each])
            for table, topic in names.items()
            for each in partitions
        }
        remedies, limits = self._remedies(logs), self._limits(admin, partitions)
        found = {}
        for table, partition in places:
            if not goes_on():
                raise Superseded
            log, topic, which = logs[table, partition], names[table], remedies[table, partition]
            store = self._begin((table, partition), log, which)
            below, seen = limits.get((table, partition), MOST_VERSION), Seen()
            changelog = KafkaChangelog(self.settings.kafka, topic, partition, log.end, below=below)
            restored = restore.restore(changelog, log.end, store, log.begin, seen)
            self._newest[table, partition] = seen.newest
            found[table, partition] = Read(changelog, restored, seen, which is Remedy.WRITE_AGAIN)
            self._require_own_rows(table, partition, store)
        logger.info(
            "restored %d rows of %d partitions",
            sum(read.restored.rows for read in found.values()),
            len(partitions),
        )
        return found

    def newest(self, journal: Place) -> Version:
        """The highest version of a row of this journal; looks at all rows only if nothing else tells."""
        store, read = self.stores[journal], self._newest.get(journal, NEVER)
        if store.inbox is None and read == NEVER:
            return max((version_of(row) for _, row in store.scan()), default=NEVER)
        return max(read, version_at((store.inbox or FIRST) - 1))

    def _require_own_rows(self, table: str, partition: int, store: RocksStore) -> None:
        """`Fatal` if the rows were made for another number of partitions."""
        if (owner := self._owners.get(table)) is None:
            return
        if words := misplaced(store.scan(b""), owner, partition, self.settings.partitions):
            raise Fatal(
                Exit.TOPICS_WRONG,
                f"{self._changelog(table)}[{partition}] has {words}: nothing is decided; {FIXED}",
            )

    def _ends(
        self, admin: Admin, names: Mapping[str, str], partitions: Sequence[int], goes_on: Callable[[], bool]
    ) -> dict[Place, Offset]:
        """The ends of all changelogs: the balances' between two looks at which the journals had the same ends."""

        def ends_of(tables: Iterable[str]) -> dict[Place, Offset]:
            return offsets.ends(admin, [(names[table], each) for table in tables for each in partitions])

        journals = ends_of(self._journals)
        while goes_on():
            before, balances = journals, ends_of(self._balances)
            journals = ends_of(self._journals)
            if journals == before:
                return {**balances, **journals}
        raise Superseded

    def _limits(self, admin: Admin, partitions: Sequence[int]) -> dict[Place, int]:
        """By table and partition, the version that no row reaches: it would be far beyond the end of its inbox.

        None where the inbox is not the one of the group's commit; `positions` deals with that.
        """
        marks = {
            (topic, partition): mark
            for topic, _ in self._tables_of
            for partition in partitions
            if (mark := self.marks.get((topic, partition))) is not None
        }
        ids = offsets.topic_ids(admin, {topic for topic, _ in marks})
        ends = offsets.ends(admin, marks)
        return {
            (table, partition): ends[topic, partition] + MOST_AHEAD
            for topic, tables in self._tables_of
            for partition in partitions
            if (mark := marks.get((topic, partition))) is not None and mark.topic_id == ids[topic]
            for table in tables
        }

    def ends(self, places: Iterable[Place]) -> dict[Place, Offset]:
        """In a thread: where the changelogs of these tables end now. `Fatal` if one has less than was written to it."""
        held = {place: store.held[:1] for place in places if (store := self.stores.get(place)) is not None}
        names = {(self._changelog(table), partition): (table, partition) for table, partition in held}
        admin = Admin(self.settings)
        try:
            ids = offsets.topic_ids(admin, {topic for topic, _ in names}, ANSWER)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise
            lacking = f"one of the topics is gone ({error.args[0].str()})"
            self.flush()
            raise Fatal(Exit.CHANGELOG_CUT, cut_while_running(*next(iter(names)), lacking)) from error
        found = {names[place]: end for place, end in offsets.ends(admin, names).items()}
        for (topic, partition), place in names.items():
            for extent in held[place]:
                if missing := LogRange(ids[topic], extent.first, found[place]).lacks(extent):
                    self.flush()
                    raise Fatal(Exit.CHANGELOG_CUT, cut_while_running(topic, partition, missing))
        return found

    def flush(self) -> None:
        """Brings all rows to the disk, as far as it takes them: it may soon be the only place that has them."""
        for store in self.stores.values():
            try:
                store.flush()
            except (StoreDamaged, DiskFailed) as error:
                logger.warning("rows in memory are lost: %s", error)

    async def repair(self, found: Mapping[Place, Read], log: Log, generation: Generation) -> None:
        """Writes again what the changelogs lost, and rows behind which a replaced worker wrote older ones."""
        for place, (changelog, restored, _, is_lost) in found.items():
            end = changelog.end()
            if is_lost:
                end = await self._write_again(place, found[place], log, generation)
            records = restore.repair_records(changelog, restored)
            if records:
                if not is_lost:
                    logger.warning(
                        "%s: %d rows written again behind stale ones", changelog.topic, len(records)
                    )
                offsets = await log.append(records, generation)
                written = offsets[changelog.topic, changelog.partition]
                restore.repaired(self.stores[place], end, restored.repairs, written)

    async def _write_again(self, place: Place, read: Read, log: Log, generation: Generation) -> Offset:
        """In bounded pieces. The offset reached moves at the end only, so all of it may be done again."""
        changelog, store = read.changelog, self.stores[place]
        reached, count = changelog.end(), 0
        rows = restore.lacking(store, read.seen, read.restored)
        while piece := list(islice(rows, PIECE)):
            records = [written_again(changelog.topic, changelog.partition, *row) for row in piece]
            written = (await log.append(records, generation))[changelog.topic, changelog.partition]
            reached, count = contiguous(reached, written), count + len(piece)
            store.write(dict(piece), store.reached)
        if not read.restored.repairs:
            store.write({}, max(reached, store.reached))
        count += len(read.restored.repairs)
        text = "%s[%d] had lost rows: %d are written again from this disk"
        logger.warning(text, changelog.topic, place[1], count)
        return reached

    def fatal_faults(self) -> AbstractContextManager[None]:
        """Faults of stores in such a block end the worker; see `faults`."""
        return fatal_faults(self.folder, lambda: [store.path for store in self.stores.values()])

    def _changelog(self, table: str) -> str:
        return topics.changelog(self.settings.app_id, table)

    def _remedies(self, logs: Mapping[Place, LogRange]) -> dict[Place, Remedy]:
        """Opens all stores, and compares every changelog with what it must have."""
        found, lost = {}, []
        for place, log in logs.items():
            store = self.stores.get(place) or self._open(*place)
            self.stores[place] = store
            try:
                found[place] = remedy(log, self.demands.get(place), store.held)
            except RowsLost as error:
                lost.append(f"{self._changelog(place[0])}[{place[1]}]: {error}")
        if lost:
            more = f" (and {len(lost) - 1} more)" if len(lost) > 1 else ""
            raise Fatal(
                Exit.ROWS_LOST,
                f"rows are lost that this disk does not hold: {lost[0]}{more}; nothing was decided on what is left. If "
                "another worker's SAGA_DATA_DIR holds this partition, start that worker alone: it writes the rows "
                "again. Else stop the workers and run `saga rebuild --from-inboxes` (docs/how-to/recover.md)",
            )
        return found

    def _begin(self, place: Place, log: LogRange, which: Remedy) -> RocksStore:
        """The store of this place, which follows this changelog and claims no more than it has."""
        store, demand = self.stores[place], self.demands.get(place)
        noted = Demand(Extent(log.topic_id)) if demand is None else demand
        if not noted.terms or noted.is_lost or noted.terms[-1:] != self.terms.get(place, ())[-1:]:
            self.terms[place] = noted.began_by(self.new_term(), log.end)
        known = [extent.first for extent in store.held[:1]]
        first = max([log.begin, *known, *([demand.extent.first] if demand else [])])
        match which:
            case Remedy.WRITE_AGAIN:
                store.begin_again(log.topic_id, log.begin, noted.term)
            case Remedy.ANEW:
                if store.held:
                    store.empty(f"it follows another changelog than the group (topic id {store.topic_id})")
                store.belong_to(log.topic_id, demand.extent.first if demand else log.begin, noted.term)
            case Remedy.FOLLOW:
                store.belong_to(log.topic_id, first, noted.term)
        return store

    def begin_terms(self, places: Iterable[Place]) -> None:
        """The group has noted that this worker's terms have begun, and no row is written again any more."""
        for place in places:
            store = self.stores[place]
            topic_id, first, *_ = store.held[0]
            store.belong_to(topic_id, first, self.terms[place][-1].name)

    def _open(self, table: str, partition: int) -> RocksStore:
        path = self.folder / f"{table}-{partition}.db"
        remove_condemned(path)
        return RocksStore(path, self._memory)

    def _close(self, places: Iterable[Place]) -> None:
        # After a failed disk the others would fail one after the other, a second each, and what they hold is in the
        # changelogs too.
        with self.fatal_faults():
            for place in places:
                self.stores.pop(place).close()
