"""The tables: what each service remembers. Rows are written by rounds only; people read them."""

from saga_app import topics
from saga_app.core.own_steps import OWN
from saga_app.settings import Settings
from saga_app.topics import Topic
from tables import accounts, orders, own, payments, reservations, shipments, stock

ALL = (
    orders.TABLE,
    payments.TABLE,
    accounts.TABLE,
    reservations.TABLE,
    stock.TABLE,
    shipments.TABLE,
    *map(own.card, OWN),
)


def wanted_topics(settings: Settings) -> list[Topic]:
    """Every topic of the application with these settings: inboxes, dead letters, and the changelogs of all tables."""
    names = tuple(table.name for table in ALL)
    found = topics.wanted(
        settings.app_id,
        names,
        settings.partitions,
        settings.replication,
        settings.inbox_retention,
        settings.dead_letter_retention,
    )
    if settings.webhooks_file:
        found.append(topics.webhook_deliveries(settings.partitions, settings.replication))
    return found
