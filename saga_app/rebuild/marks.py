"""The marks on the committed offsets that keep workers out while a command is at work, and their release at its end."""

import time
from collections.abc import Mapping
from typing import Final

from confluent_kafka import KafkaError, KafkaException

from saga_app.core.numbers import Offset
from saga_app.kafka import offsets
from saga_app.kafka.broker_errors import Admin
from saga_app.kafka.messages import Place
from saga_app.rebuild.survey import CannotRebuild
from saga_app.settings import Settings

#: The broker's answers to a commit by hand while the group has members.
_HAS_MEMBERS: Final = (KafkaError.UNKNOWN_MEMBER_ID, KafkaError.NON_EMPTY_GROUP)


def mark(settings: Settings, committed: Mapping[Place, Offset], unfinished: str) -> None:
    """Commits these offsets with a mark of `offsets.UNFINISHED`. Raises `CannotRebuild` if workers do not stay away.

    A worker that was started meanwhile ends by itself; the group knows it for one session timeout more.
    """
    wanted = {place: (at, unfinished) for place, at in committed.items()}
    end = time.monotonic() + settings.timeouts.session + 5
    while True:
        try:
            offsets.commit(Admin(settings), settings.app_id, wanted)
        except KafkaException as error:
            if error.args[0].code() not in _HAS_MEMBERS:
                raise
            if time.monotonic() > end:
                raise CannotRebuild(
                    f"the group {settings.app_id!r} has members: stop all workers, then run this command again"
                ) from error
        else:
            return
        time.sleep(0.5)


def release(settings: Settings, committed: Mapping[Place, Offset]) -> None:
    """Commits the same offsets without the mark. Raises `CannotRebuild` if workers do not stay away."""
    mark(settings, committed, "")
