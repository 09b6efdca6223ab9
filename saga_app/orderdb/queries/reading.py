"""Opens the order database for questions; a connection for questions cannot change it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from sqlalchemy import inspect, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from saga_app.effects.reading import EffectsReading
from saga_app.kafka.messages import Place
from saga_app.orderdb.copy.source_topics import SourceTopics
from saga_app.orderdb.database import Database, DatabaseEmpty, DatabaseWrong
from saga_app.orderdb.queries import dead_letters, effects
from saga_app.orderdb.schema import REVISION, copied, source
from saga_app.settings import Settings

Answer = TypeVar("Answer")


async def ask(settings: Settings, question: Callable[[AsyncConnection], Awaitable[Answer]]) -> Answer:
    """Asks one question. Raises `DatabaseEmpty` if there is no database yet, and `DatabaseWrong`."""
    async with open_to_read(settings) as database, database.transaction() as connection:
        return await question(connection)


@asynccontextmanager
async def open_to_read(settings: Settings) -> AsyncIterator[Database]:
    """The database for many questions, each in a transaction of its own; see `ask`."""
    database = Database(settings.db_url, reads=True)
    if database.file is not None and not database.file.exists():
        raise DatabaseEmpty(f"{database.name} is not there yet; `saga orderdb run` makes it")
    try:
        async with database.transaction() as connection:
            await _check_tables(database, connection)
        yield database
    finally:
        await database.close()


async def positions(connection: AsyncConnection) -> dict[Place, int]:
    """The position of the copy in each partition: the offset of the next record."""
    rows = (await connection.execute(select(copied.c.topic, copied.c.partition, copied.c.next_offset))).all()
    return {(row.topic, row.partition): row.next_offset for row in rows}


async def progress(
    connection: AsyncConnection, now: int
) -> tuple[dict[Place, int], int | None, int, EffectsReading]:
    """`positions`, the time at which the copying process last gave a sign, the unsettled dead letters, and effects."""
    return (
        await positions(connection),
        await connection.scalar(select(source.c.alive_at)),
        sum((await dead_letters.counts(connection)).values()),
        await effects.reading(connection, now),
    )


async def must_be_copy_of(database: Database, connection: AsyncConnection, topics: SourceTopics) -> None:
    """Raises `DatabaseWrong` if the database is a copy of other topics. An empty database is a copy of any."""
    row = (await connection.execute(select(source))).one()
    is_own = (row.app_id, row.cluster_id) in ((topics.app_id, topics.cluster_id), (None, None))
    ids = await connection.execute(select(copied.c.topic, copied.c.topic_id).distinct())
    if not is_own or any(topics.topic_ids.get(topic) != topic_id for topic, topic_id in ids):
        raise DatabaseWrong(
            f"{database.name} is a copy of other topics than those of {topics.app_id!r} on cluster "
            f"{topics.cluster_id}; use another SAGA_DB_URL, or `saga orderdb rebuild`, which empties it"
        )


async def _check_tables(database: Database, connection: AsyncConnection) -> None:
    """Raises `DatabaseEmpty` or `DatabaseWrong` if the database does not have the tables of this program."""
    exists = await connection.run_sync(lambda each: inspect(each).has_table("alembic_version"))
    found = await connection.scalar(text("SELECT version_num FROM alembic_version")) if exists else None
    if found is None:
        raise DatabaseEmpty(f"{database.name} has no orders yet; `saga orderdb run` copies them")
    if found != REVISION:
        raise DatabaseWrong(
            f"{database.name} has tables of version {found}, this program knows version {REVISION}; "
            "`saga orderdb run` brings older ones up to date"
        )
