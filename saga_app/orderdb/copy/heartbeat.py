"""Signs of life: the copying process writes the time into the database, so that pages notice its death at once."""

import asyncio
from contextlib import suppress
from typing import Final

from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError

from saga_app.orderdb import schema
from saga_app.orderdb.database import Database, DatabaseWrong
from saga_app.times import now

#: Seconds from one sign to the next.
BEAT_EVERY: Final = 2.0


async def beat(database: Database) -> None:
    """Gives signs until it is cancelled. The projector tells of a database that takes none."""
    while True:
        with suppress(SQLAlchemyError, OSError, DatabaseWrong):
            async with database.transaction() as connection:
                await connection.execute(update(schema.source).values(alive_at=now()))
        await asyncio.sleep(BEAT_EVERY)
