"""The marks on the committed offsets that keep workers out while a command is at work, and their release at its end."""

from collections.abc import Mapping

from saga_app.core.numbers import Offset
from saga_app.kafka import offsets
from saga_app.kafka.broker_errors import Admin
from saga_app.kafka.messages import Place
from saga_app.settings import Settings


def mark(settings: Settings, committed: Mapping[Place, Offset], command: str) -> None:
    """Commits these offsets with a mark of `offsets.UNFINISHED`. Raises `KafkaException`, also if workers run."""
    offsets.commit(
        Admin(settings), settings.app_id, {place: (at, command) for place, at in committed.items()}
    )


def release(settings: Settings, committed: Mapping[Place, Offset]) -> None:
    """Commits the same offsets without the mark. Raises `KafkaException`, also if workers run."""
    mark(settings, committed, "")
