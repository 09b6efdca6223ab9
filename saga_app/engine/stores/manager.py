"""The store manager: the stores of one worker, opened, restored from their changelogs, thrown away, closed."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from saga_app import topics
from saga_app.core.decider import Service
from saga_app.core.errors import RowsMissing
from saga_app.core.numbers import Generation, Offset
from saga_app.engine.exits import Exit, Fatal
from saga_app.engine.ports import Log
from saga_app.engine.stores import restore
from saga_app.engine.stores.changelog import KafkaChangelog
from saga_app.engine.stores.errors import DiskFailed, StoreDamaged, named, remove
from saga_app.engine.stores.placement import misplaced, owner_of_balance, owner_of_order
from saga_app.engine.stores.restore import Restored
from saga_app.engine.stores.rocks import Memory, RocksStore
from saga_app.kafka import offsets
from saga_app.kafka.broker_errors import Admin
from saga_app.kafka.messages import Place
from saga_app.kafka.topic_faults import FIXED
from saga_app.settings import Settings

logger = logging.getLogger(__name__)

#: A file of this suffix beside a database says that it must be rebuilt.
REBUILD: Final = ".rebuild"


class Superseded(Exception):
    """Another rebalance, or a stop, came before the restore was over."""


class Read(NamedTuple):
    """One changelog partition, as far as it was read, and what was found in it."""

    changelog: KafkaChangelog
    restored: Restored


class StoreManager:
    """Every table of every partition that this worker owns."""

    def __init__(self, settings: Settings, services: Sequence[Service]) -> None:
        self.settings = settings
        self.folder: Path = settings.data_dir / "tables"
        self.stores: dict[Place, RocksStore] = {}
        self._journals = [service.decider.journal for service in services]
        self._balances = [
            service.decider.balances for service in services if service.decider.balances is not None
        ]
        orders = [service.decider.journal for service in services if service.topic == topics.CHECKOUT]
        self._owners = {
            **dict.fromkeys(self._balances, owner_of_balance),
            **dict.fromkeys(orders, owner_of_order),
        }

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

        `Superseded` when it need not go on.
        """
        names = {table: self._changelog(table) for table in (*self._journals, *self._balances)}
        # One that lives as long as the worker may have lost its brokers (see `liveness`).
        admin = Admin(self.settings)
        ids = offsets.topic_ids(admin, names.values())
        ends = self._ends(admin, names, partitions, goes_on)
        found = {}
        for table, topic in names.items():
            for partition in partitions:
                if not goes_on():
                    raise Superseded
                end = ends[topic, partition]
                store = self._store(table, partition, ids[topic], end)
                changelog = KafkaChangelog(self.settings.kafka, topic, partition, end)
                found[table, partition] = Read(changelog, restore.restore(changelog, end, store))
                self._require_own_rows(table, partition, store)
        logger.info(
            "restored %d rows of %d partitions",
            sum(read.restored.rows for read in found.values()),
            len(partitions),
        )
        return found

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

    def ends(self, places: Iterable[Place]) -> dict[Place, Offset]:
        """In a thread: where the changelogs of these tables end now."""
        names = {(self._changelog(table), partition): (table, partition) for table, partition in places}
        found = offsets.ends(Admin(self.settings), names)
        return {names[place]: end for place, end in found.items()}

    async def repair(self, found: Mapping[Place, Read], log: Log, generation: Generation) -> None:
        """Writes again the rows behind which a worker that had lost its partitions wrote older ones."""
        for place, (changelog, restored) in found.items():
            records = restore.repair_records(changelog, restored)
            if records:
                logger.warning("%s: %d rows written again behind stale ones", changelog.topic, len(records))
                offsets = await log.append(records, generation)
                written = offsets[changelog.topic, changelog.partition]
                restore.repaired(self.stores[place], changelog.end(), restored.repairs, written)

    def condemn(self, error: RowsMissing) -> NoReturn:
        """The store is thrown away and comes back from the changelogs. The same again, after that, means a bug."""
        mark = self.folder / "condemned"
        try:
            if mark.exists() and mark.read_text() == str(error):
                advice = "although the store was rebuilt; run `saga doctor`"
                raise Fatal(Exit.ROWS_MISSING_AGAIN, f"{error}, {advice}") from error
            for store in self.stores.values():
                store.path.with_suffix(REBUILD).touch()
            mark.write_text(str(error))
        except OSError as unable:
            advice = f"empty {self.folder} before the next start ({unable})"
            raise Fatal(Exit.ROWS_MISSING, f"{error}; {advice}") from error
        advice = "the store is rebuilt from the changelogs at the next start"
        raise Fatal(Exit.ROWS_MISSING, f"{error}; {advice}") from error

    def rebuild(self, error: StoreDamaged) -> NoReturn:
        """Only this database is thrown away; its changelog has every row."""
        try:
            error.path.with_suffix(REBUILD).touch()
        except OSError as unable:
            advice = f"remove {error.path} before the next start ({unable})"
            raise Fatal(Exit.STORE_DAMAGED, f"{error}; {advice}") from error
        advice = "it is rebuilt from its changelog at the next start"
        raise Fatal(Exit.STORE_DAMAGED, f"{error}; {advice}") from error

    def surrender(self, error: DiskFailed) -> NoReturn:
        """A rebuild would not mend it."""
        raise Fatal(Exit.DISK_FAILED, str(error)) from error

    def _changelog(self, table: str) -> str:
        return topics.changelog(self.settings.app_id, table)

    def _store(self, table: str, partition: int, topic_id: str, end: Offset) -> RocksStore:
        """The store of this place, which never claims more than its changelog has."""
        store = self.stores.get((table, partition)) or self._open(table, partition, topic_id)
        self.stores[table, partition] = store
        if store.reached > end:
            store.empty(f"it is ahead of its changelog ({store.reached} > {end}): the topic lost records")
            store.belong_to(topic_id)
        return store

    def _open(self, table: str, partition: int, topic_id: str) -> RocksStore:
        path = self.folder / f"{table}-{partition}.db"
        mark = path.with_suffix(REBUILD)
        if mark.exists():
            logger.warning(
                "rebuilding %s from its changelog: it was damaged, or rows were missing", path.name
            )
            try:
                remove(path)
                mark.unlink()
            except OSError as error:
                raise named(path, error) from error
        store = RocksStore(path, self._memory)
        if store.topic_id not in (None, topic_id):
            store.empty("its changelog topic was deleted and made again")
        store.belong_to(topic_id)
        return store

    def _close(self, places: Iterable[Place]) -> None:
        try:
            for place in places:
                self.stores.pop(place).close()
        except StoreDamaged as error:
            self.rebuild(error)
        except DiskFailed as error:
            # The others would fail one after the other, a second each, and what they hold is in the changelogs too.
            self.surrender(error)
