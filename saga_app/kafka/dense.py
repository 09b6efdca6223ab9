"""Dense batches: few bytes that unpack to very many. A client that unpacks them all at once runs out of memory.

With `compression.type=uncompressed` a broker keeps none, so those that are found are from before the topic had this
setting. Whoever reads a topic to which people write looks at the headers of its batches first, and reads with
`RawClient` up to behind the last dense one.
"""

from collections.abc import Mapping
from contextlib import suppress

from aiokafka.errors import KafkaError

from saga_app.core.numbers import Offset
from saga_app.kafka.messages import Place
from saga_app.kafka.raw import RawClient
from saga_app.topics import DEAD_LETTERS, INBOXES


class DenseBatches:
    """How far each partition was looked at, and where its last dense batch ends."""

    def __init__(self) -> None:
        self._seen: dict[Place, Offset] = {}
        self._last: dict[Place, Offset] = {}

    def find(
        self, client: RawClient, start: Mapping[Place, int], end: int | None = None
    ) -> dict[Place, Offset]:
        """By partition that has dense batches from this offset up to its present end, or `end`, where the last ends.

        A partition that the broker refuses to show has none: the client that reads it says why. Raises `TimeoutError`.
        """
        for place, offset in start.items():
            with suppress(KafkaError):
                for batch in client.batches(place, max(offset, self._seen.get(place, offset)), end):
                    self._seen[place] = following = Offset(batch.last + 1)
                    if batch.is_dense:
                        self._last[place] = following
        return {place: end for place, end in self._last.items() if end > start.get(place, end)}


def is_written_by_people(topic: str) -> bool:
    """True if the topic may hold batches that are none of ours."""
    return topic in INBOXES or topic == DEAD_LETTERS
