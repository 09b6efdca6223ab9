"""Waits until a worker has taken a record that was just sent, and tells if it became a dead letter."""

import time
from typing import Final

from saga_app import topics
from saga_app.dead_letters.format import LetterId
from saga_app.dead_letters.letter import Letter, read_letter
from saga_app.kafka import offsets
from saga_app.kafka.broker_errors import Admin
from saga_app.kafka.chunks import chunks
from saga_app.kafka.consumer_group import TIMEOUT, committed_of, outsider
from saga_app.kafka.sender import Sent
from saga_app.settings import Settings

#: Seconds between two looks.
PAUSE: Final = 0.1


class OutcomeReader:
    """Made before the record is sent: its dead letter comes behind the ends that are known then."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin = Admin(settings)
        self._group = outsider(settings, settings.app_id)
        self._places = [(topics.DEAD_LETTERS, each) for each in range(settings.partitions)]
        self._next = dict(offsets.ends(self._admin, self._places))

    def letter(self, sent: Sent, seconds: float) -> Letter | None:
        """The record's dead letter; None if it is taken and there is none. `TimeoutError` if no worker takes it.

        A worker commits an offset only when the dead letters of all records before it are in the log.
        """
        until = time.monotonic() + seconds
        place = (sent.topic, sent.partition)
        while True:
            done = committed_of(self._group, [place], TIMEOUT)[place]
            if (found := self._look(LetterId(*sent))) is not None:
                return found
            if done > sent.offset:
                return None
            if time.monotonic() >= until:
                raise TimeoutError
            time.sleep(PAUSE)

    def _look(self, wanted: LetterId) -> Letter | None:
        """Reads what is new in `dead_letters`."""
        for (topic, partition), end in offsets.ends(self._admin, self._places).items():
            start, self._next[topic, partition] = self._next[topic, partition], end
            for chunk in chunks(self._settings.kafka, topic, partition, start, end):
                for message in chunk:
                    letter = read_letter(message)
                    if letter is not None and letter.id == wanted:
                        return letter
        return None
