"""The saga on stock Faust: four agents, six tables, RocksDB, as its documentation shows it.

Its extras for speed (uvloop, orjson, rocksdict) are installed; it commits every second, as the others do.
"""

from collections.abc import AsyncIterator
from typing import Any

import faust

from bench.peers.place import Place, place
from bench.peers.rules import SERVICES, Row, key_of, topic_of

TABLES = ("orders", "payments", "accounts", "reservations", "stock", "shipments")


class FaustRows:
    """A table of Faust's each."""

    def __init__(self, tables: dict[str, Any]) -> None:
        self._tables = tables

    def get(self, table: str, key: str) -> Row | None:
        return self._tables[table].get(key)  # type: ignore[no-any-return]

    def put(self, table: str, key: str, row: Row) -> None:
        self._tables[table][key] = row


def create_app(here: Place) -> Any:
    """The application with its agents."""
    app = faust.App(
        here.group,
        broker=f"kafka://{here.broker}",
        store="rocksdb://",
        datadir=here.data,
        topic_partitions=here.partitions,
        topic_replication_factor=1,
        key_serializer="raw",
        value_serializer="json",
        broker_commit_interval=1.0,
        producer_linger=0.005,
        web_enabled=False,
    )
    rows = FaustRows({name: app.Table(name, key_type=str, partitions=here.partitions) for name in TABLES})
    inboxes = {name: app.topic(name, partitions=here.partitions) for name in SERVICES}

    def add(name: str, service: Any) -> None:
        async def agent(records: AsyncIterator[Any]) -> None:
            async for record in records:
                for sent in service(record, rows):
                    await inboxes[topic_of(sent)].send(key=key_of(sent).encode(), value=sent)

        app.agent(inboxes[name], name=name)(agent)

    for name, service in SERVICES.items():
        add(name, service)
    return app


if __name__ == "__main__":
    create_app(place()).main()
