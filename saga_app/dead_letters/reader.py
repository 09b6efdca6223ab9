"""Reads `dead_letters` as it is now, in bounded memory: markers first, then letters one after the other.

Only the ids of letters and the markers are kept in memory, not the letters, which may have 2 MiB each.
"""

from collections import defaultdict
from collections.abc import Iterator

from confluent_kafka import Message
from confluent_kafka.admin import AdminClient

from saga_app import topics
from saga_app.dead_letters.format import LetterId
from saga_app.dead_letters.letter import Letter, Settlement, read_letter, read_marker
from saga_app.kafka import offsets, topic_admin
from saga_app.kafka.chunks import chunks
from saga_app.kafka.topic_faults import FIXED
from saga_app.settings import Settings
from saga_app.topics import Topic


class Letterbox:
    """The dead letters up to the moment when this is made. Raises `KafkaException`, `TopicsWrong`.

    With `after`, in milliseconds, only those that were written later.
    """

    def __init__(self, settings: Settings, after: int | None = None) -> None:
        found = topic_admin.check(settings, [Topic(topics.DEAD_LETTERS, settings.partitions, {})])
        if found.missing:
            raise topic_admin.TopicsWrong(
                f"topic {topics.DEAD_LETTERS} is not on {settings.broker}; create it: saga topics --create"
            )
        if found.wrong:
            raise topic_admin.TopicsWrong(f"{found.wrong[0]}; {FIXED}")
        self._kafka = settings.kafka
        admin = AdminClient(settings.kafka)
        places = [(topics.DEAD_LETTERS, each) for each in range(settings.partitions)]
        self._first = offsets.beginnings(admin, places)
        self._end = offsets.readable_ends(admin, places)
        if after is not None:
            # Of a partition with nothing later nothing is read.
            self._first = {**self._end, **offsets.after(admin, places, after)}

    def settled(self) -> dict[LetterId, list[Settlement]]:
        """The replays and dismissals of each settled letter; letters without any are left out.

        A replay settles its letter even if it fails: the record is then a new letter, which is not settled.
        """
        found: dict[LetterId, list[Settlement]] = defaultdict(list)
        for message in self._messages():
            marker = read_marker(message)
            if marker is not None:
                found[marker[0]].append(marker[1])
        return dict(found)

    def letters(self) -> Iterator[Letter]:
        """Each letter once, in the sequence of the log: a worker that was killed may have written one twice."""
        seen: dict[tuple[str, int], set[int]] = defaultdict(set)
        for message in self._messages():
            letter = read_letter(message)
            if letter is None:
                continue
            offsets = seen[letter.id[:2]]
            if letter.id.offset not in offsets:
                offsets.add(letter.id.offset)
                yield letter

    def _messages(self) -> Iterator[Message]:
        for (topic, partition), end in self._end.items():
            start = self._first[topic, partition]
            for chunk in chunks(self._kafka, topic, partition, start, end, "read_committed"):
                yield from chunk
