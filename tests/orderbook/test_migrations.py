"""The migrations make exactly the tables that the code knows."""

import asyncio
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from saga_app.orderbook import schema
from saga_app.orderbook.database import Database


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


def test_the_newest_migration_is_the_one_that_readers_expect():
    config = Config()
    config.set_main_option("script_location", "saga_app.orderbook:migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == schema.REVISION
