"""Tables: people read them as ever, with Faust's tools and pages; rows are written by rounds only.

Answers these faults of stock Faust:

- table writes bypass the order of durability (`docs/reference/faust.md#a9`, `docs/reference/faust.md#c1`),
- databases are never closed (`docs/reference/faust.md#c7`) and take 2 GiB of cache each (`docs/reference/faust.md#c8`),
- keys as JSON make `/table/` ask the wrong worker (`docs/reference/faust.md#c14`, faust#514, faust#187),
- `/table/` sends cookies and tokens to that worker (`docs/reference/faust.md#c18`).
"""

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from faust.app.router import Router
from faust.exceptions import SameNode
from faust.stores.base import SerializedStore
from faust.tables.table import Table
from faust.types import TP
from faust.web.exceptions import NotFound, ServiceUnavailable
from yarl import URL

from saga_app import topics
from saga_app.engine.faust.forwarding import FORWARDED, ask_member
from saga_app.engine.stores.rocks import RocksStore

if TYPE_CHECKING:
    from saga_app.engine.faust.app import SagaApp


class ReadOnly(TypeError):
    """Somebody wrote to a table past the rounds."""


class StoreStore(SerializedStore):  # type: ignore[misc]
    """Faust's store interface over the engine's stores; read only."""

    app: "SagaApp"

    def _stores(self) -> list[RocksStore]:
        return [
            store
            for (table, _), store in list(self.app.engine.store_manager.stores.items())
            if table == self.table_name
        ]

    def _get(self, key: bytes) -> bytes | None:
        return next((row for store in self._stores() if (row := store.get(key)) is not None), None)

    def _contains(self, key: bytes) -> bool:
        return self._get(key) is not None

    def _iteritems(self) -> Iterator[tuple[bytes, bytes]]:
        for store in self._stores():
            yield from store.scan()

    def _iterkeys(self) -> Iterator[bytes]:
        return (key for key, _ in self._iteritems())

    def _itervalues(self) -> Iterator[bytes]:
        return (value for _, value in self._iteritems())

    def _size(self) -> int:
        return sum(1 for _ in self._iteritems())

    def _set(self, key: bytes, value: bytes | None) -> NoReturn:
        raise ReadOnly(f"table {self.table_name} is written by rounds; send a record to its inbox instead")

    def _del(self, key: bytes) -> NoReturn:
        self._set(key, None)

    def _clear(self) -> NoReturn:
        self._set(b"", None)

    def reset_state(self) -> None:
        """For `faust reset`, while no worker runs: the files go, and the rows come back from the changelog."""
        for path in (self.app.settings.data_dir / "tables").glob(f"{self.table_name}-*.db"):
            shutil.rmtree(path)

    def persisted_offset(self, tp: TP) -> int | None:
        store = self.app.engine.store_manager.stores.get((self.table_name, tp.partition))
        return None if store is None else store.reached - 1

    def set_persisted_offset(self, tp: TP, offset: int) -> None:
        """Nothing: a round writes the offset together with its rows."""

    async def need_active_standby_for(self, tp: TP) -> bool:
        return False

    async def backup_partition(self, tp: Any, flush: bool = True, purge: bool = False, keep: int = 1) -> None:
        """Nothing: the changelog is the backup."""

    def restore_backup(self, tp: Any, latest: bool = True, backup_id: int = 0) -> None:
        """Nothing: the changelog is the backup."""

    def apply_changelog_batch(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: changelogs are restored by the engine."""


class SagaTable(Table):  # type: ignore[misc]
    """A table with raw keys, JSON values and a changelog that exists before the worker starts."""

    app: "SagaApp"

    def __init__(self, app: "SagaApp", **kwargs: Any) -> None:
        super().__init__(app, **kwargs)
        self.key_serializer = "raw"
        self.value_serializer = "json"

    def _new_store_by_url(self, url: URL | str) -> StoreStore:
        return StoreStore(
            url,
            self.app,
            self,
            table_name=self.name,
            key_serializer="raw",
            value_serializer="json",
            loop=self.loop,
        )

    def on_key_set(self, key: Any, value: Any) -> NoReturn:
        """Refused here: Faust would write to the changelog before it asks the store."""
        self._refuse()

    def on_key_del(self, key: Any) -> NoReturn:
        self._refuse()

    def on_clear(self) -> NoReturn:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise ReadOnly(f"table {self.name} is written by rounds; send a record to its inbox instead")

    async def on_start(self) -> None:
        """Without declaring the changelog topic; see `topic_admin`."""
        await self.add_runtime_dependency(self.data)


class SagaRouter(Router):  # type: ignore[misc]
    """Finds the worker with a row. Where a table is not partitioned by its own key, look here first."""

    app: "SagaApp"

    def _get_table(self, name: str) -> Any:
        """The pages of Faust's router ask for the table too; stock Faust answers 500 for an unknown one."""
        table = self.app.tables.get(name)
        if table is None:
            raise NotFound(f"there is no table {name}; /table/ lists them")
        return table

    def key_store(self, table_name: str, key: Any) -> URL:
        table = self._get_table(table_name)
        if self.app.engine.assignment.held is None:
            raise ServiceUnavailable("this worker is restoring its tables; ask again in a moment")
        if table.data._contains(str(key).encode()):
            return URL(self.app.conf.canonical_url)
        if table_name not in self.app.keyed_by_order:
            raise NotFound(
                f"{key} is not in this worker's part of table {table_name}; it may be in another worker's part"
            )
        # Faust asks its producer, which knows a changelog's partitions only after it has written to it.
        partition = topics.partition_of(str(key), self.app.settings.partitions)
        return URL(self._assignor._tps_url[TP(table.changelog_topic_name, partition)])

    async def _route_req(self, dest_url: URL, web: Any, request: Any) -> Any:
        """The answer of the worker that has the row; a request that a worker has sent is not sent on again."""
        if self._urlident(dest_url) == self._urlident(URL(self.app.conf.canonical_url)):
            raise SameNode
        if FORWARDED in request.headers:
            raise ServiceUnavailable(
                "another worker asked for a row that is not here: partitions are moving; ask again in a moment"
            )
        known = {**self._assignor._tps_url, **self._assignor._external_tps_url}
        status, text = await ask_member(
            dest_url, request.rel_url.raw_path, {URL(each) for each in known.values()}
        )
        return web.text(text, content_type="application/json", status=status)

    @classmethod
    def _get_serialized_key(cls, table: Any, key: Any) -> bytes:
        return str(key).encode()
