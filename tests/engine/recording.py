"""A buffer that keeps what a reader hands over, and small helpers for it."""

from collections.abc import Mapping

from saga_app.core.numbers import Generation, Offset
from saga_app.engine.reader import Reader
from saga_app.kafka.messages import Batch, Place


class RecordingBuffer:
    """Keeps the batches that the reader hands over."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.room = True

    def of(self, generation: int, partition: int = 0) -> list[Batch]:
        return [each for each in self.batches if (each.generation, each.partition) == (generation, partition)]

    def offsets(self, generation: int, partition: int = 0) -> list[int]:
        return [message.offset for batch in self.of(generation, partition) for message in batch.messages]

    def end(self, generation: int, partition: int = 0) -> int:
        return max((batch.end for batch in self.of(generation, partition)), default=-1)


def assign(reader: Reader, positions: Mapping[Place, int], generation: int) -> None:
    """This generation reads on from there."""
    starts = {place: Offset(at) for place, at in positions.items()}
    reader.assign(starts, Generation(generation))


def values(count: int) -> list[bytes]:
    return [b"%d" % at for at in range(count)]


def contiguous(batches: list[Batch], start: int) -> bool:
    """True if each batch begins where the one before it ended."""
    ends = [start, *(batch.end for batch in batches)]
    return all(batch.start == end for batch, end in zip(batches, ends, strict=False))
