"""For commands that read the topics: a missing one is told before anything is read."""

import tables
from saga_app.commands.render.output import CommandFailed
from saga_app.kafka import topic_admin
from saga_app.kafka.reachable import require_broker
from saga_app.settings import Settings


def require_topics(settings: Settings) -> None:
    """Raises `BrokerUnreachable` if no broker answers, and `CommandFailed` if a topic is missing."""
    require_broker(settings)
    missing = topic_admin.check(settings, tables.wanted_topics(settings)).missing
    if missing:
        names = ", ".join(topic.name for topic in missing)
        raise CommandFailed(
            f"{names} missing on {settings.broker} (SAGA_APP_ID is {settings.app_id!r}); see `saga topics`"
        )
