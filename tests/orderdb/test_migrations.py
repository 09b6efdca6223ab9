"""The migrations make exactly the tables that the code knows."""

import asyncio
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, select, text

from saga_app.orderdb import schema
from saga_app.orderdb.database import Database


def differences(connection: Connection) -> Any:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return compare_metadata(context, schema.metadata)


def test_migrated_tables_are_those_of_the_schema_and_migrating_again_changes_nothing(url: str):
    async def run() -> Any:
        database = Database(url)
        try:
            await database.make()
            await database.make()
            async with database.transaction() as connection:
                return await connection.run_sync(differences)
        finally:
            await database.close()

    assert asyncio.run(run()) == []


def test_a_database_of_an_earlier_version_keeps_its_rows(url: str):
    """The one column that came since is empty in what was copied before."""
    known = {
        "topic": "checkout_events",
        "partition": 1,
        "at_offset": 2,
        "order_id": "o1",
        "time": 3,
        "type": "X",
    }

    def earlier(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", "saga_app.orderdb:migrations")
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        names = ", ".join(known)
        connection.execute(
            text(f"INSERT INTO order_events ({names}) VALUES ({', '.join(f':{name}' for name in known)})"),
            known,
        )

    async def run() -> Any:
        database = Database(url)
        try:
            async with database.transaction() as connection:
                await connection.run_sync(earlier)
            await database.make()
            async with database.transaction() as connection:
                found = await connection.execute(select(schema.order_events))
                return [dict(row) for row in found.mappings()], await connection.run_sync(differences)
        finally:
            await database.close()

    rows, differing = asyncio.run(run())
    assert rows == [{**dict.fromkeys(schema.order_events.c.keys()), **known}] and differing == []


def test_the_newest_migration_is_the_one_that_readers_expect():
    config = Config()
    config.set_main_option("script_location", "saga_app.orderdb:migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == schema.REVISION
