"""Alembic runs this file: the migrations run in the transaction of `Database.make`."""

from alembic import context

from saga_app.orderdb.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
