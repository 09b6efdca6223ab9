"""Alembic runs this file: the steps are carried out in the transaction of whoever asks for them."""

from alembic import context

from saga_app.orderdb.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
