"""Bounds what dead letters keep: whoever can write to an inbox could fill `dead_letters` as fast as he sends."""

from typing import Final

from saga_app.kafka.messages import Place

#: Bytes of originals that the letters of one inbox partition keep a minute. The others keep hash and head.
MOST_A_MINUTE: Final = 1024 * 1024
_MINUTE: Final = 60_000


class LetterBudget:
    """How many bytes were kept in the present minute. A minute is one of Kafka's times of the originals.

    A worker that starts again begins a minute anew, so two copies of a letter may differ in what they keep.
    """

    def __init__(self) -> None:
        self._spent: dict[Place, tuple[int, int]] = {}

    def takes(self, place: Place, time: int, size: int) -> bool:
        """True if a letter may keep so many bytes of an original of this inbox partition and time."""
        minute = time // _MINUTE
        before, spent = self._spent.get(place, (minute, 0))
        spent = size + (spent if before == minute else 0)
        if spent > MOST_A_MINUTE:
            return False
        self._spent[place] = minute, spent
        return True
