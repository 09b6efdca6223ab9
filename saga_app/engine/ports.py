"""The four small ports through which a round sees the world. Tests and the simulator bring their own."""

from collections.abc import AsyncIterable, Iterator, Mapping, Sequence
from typing import Protocol

from saga_app.core.numbers import NEVER, Generation, Offset, version_at
from saga_app.core.records import StepName
from saga_app.core.rows import Row, Tombstone, is_tombstone, version_of
from saga_app.kafka.messages import VERSION, WRITTEN_AGAIN, Batch, Fetch, Offsets, Outgoing

#: An inbox as its agent sees it: all that waits, in order, again and again. Who asks for more has done with the last.
Batches = AsyncIterable[Fetch]


class Inbox(Protocol):
    """An inbox as its rounds see it: it is told how far they are."""

    def is_current(self, generation: Generation) -> bool:
        """True if batches of this generation are still ours to decide."""

    def done(self, partition: int, start: Offset, end: Offset, generation: Generation) -> None:
        """Everything from `start` to `end` is durable; the next commit may include it."""


class GivenUp(Exception):
    """The partitions are given up and the lease does not hold: what was to be sent is left to the next owner."""


class DeliveryFailed(Exception):
    """The broker did not take a record."""


class DeliveryTimedOut(DeliveryFailed):
    """The broker did not answer for a record within the delivery timeout; it may have it none the less."""


class Log(Protocol):
    """Writes rows and records; one port for the journal, one for the records that are published after it."""

    async def append(self, records: Sequence[Outgoing], generation: Generation) -> Offsets:
        """Writes all and waits until the broker has them; where rows are. Raises if one fails.

        Nothing is sent unless this worker certainly still belongs to that generation of the group; returns only then,
        also where there is nothing to send. `GivenUp` if its partitions are taken away meanwhile.
        """


class StepFollower(Protocol):
    """Follows the rows of the steps in this worker's partitions, and sends records that they ask for, as timers do."""

    def load(self, step: StepName, store: "Store") -> None:
        """Reads a step's journal of one partition; not called by the main loop."""

    def changed(self, step: StepName, changes: Mapping[str, Row]) -> None:
        """A round has made these rows of the step's journal durable, by key."""

    def start(self, generation: Generation) -> None:
        """The partitions are ours from now on."""

    def stop(self) -> None:
        """They are not any more: everything is forgotten, and nothing new is sent."""

    async def run(self) -> None:
        """Does its work, for ever."""

    async def rested(self) -> None:
        """Returns when nothing is being sent."""


class Observer(Protocol):
    """Hears of everything that a worker does; it must be quick, and must not raise."""

    def changed(self, topic: str, changes: Mapping[str, Row]) -> None:
        """A round of this inbox has made these rows of its journal durable, by key."""

    def round_ended(self, topic: str, batches: Sequence[Batch], seconds: float) -> None:
        """These records of an inbox are decided and durable, and how long that took."""

    def restored(self, seconds: float) -> None:
        """Partitions were assigned and restored in that time."""


class Store(Protocol):
    """The rows of one table in one partition, on this worker's disk."""

    @property
    def reached(self) -> Offset:
        """Every row of the changelog below this offset is here."""

    @property
    def inbox(self) -> Offset | None:
        """The next inbox offset that this store has not seen, if it knows one."""

    def get(self, key: bytes) -> bytes | None: ...

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Rows whose key begins so, in the order of keys."""

    def write(self, rows: Mapping[bytes, bytes], reached: Offset, inbox: Offset | None = None) -> None:
        """Rows and both offsets in one atomic batch; a tombstone removes its row."""


def row_record(changelog: str, partition: int, key: bytes, row: bytes) -> Outgoing:
    """A row as it is written to its changelog; a tombstone has no value, and keeps its version in a header."""
    if is_tombstone(row):
        version = str(version_of(row)).encode()
        return Outgoing(changelog, key, None, partition, ((VERSION, version),))
    return Outgoing(changelog, key, row, partition)


def written_again(changelog: str, partition: int, key: bytes, row: bytes) -> Outgoing:
    """A row that was decided earlier than it is written now: the audit must not take its time for the decision's."""
    record = row_record(changelog, partition, key, row)
    return record._replace(headers=(*record.headers, (WRITTEN_AGAIN, b"1")))


def row_in(value: bytes | None, headers: Sequence[tuple[str, bytes | None]] | None) -> bytes:
    """The row that a changelog's record holds; a tombstone that nobody of ours wrote is older than every row."""
    if value is not None:
        return value
    version = next((text for name, text in headers or () if name == VERSION), None)
    return Tombstone(NEVER if version is None else version_at(int(version))).encode()


def contiguous(reached: Offset, offsets: Sequence[Offset]) -> Offset:
    """The next `reached` after rows were written at these offsets: it stops before the first gap."""
    for offset in offsets:
        if offset == reached:
            reached = Offset(reached + 1)
        elif offset > reached:
            break
    return reached
