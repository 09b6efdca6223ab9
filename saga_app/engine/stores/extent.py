"""Extents: how far a changelog is known to hold every row, and what to do with a store if the changelog lost some.

Two witnesses say how far a changelog must reach: the store on this worker's disk, and the note beside the group's
committed offset, which outlives every disk. A changelog that has less than they say lost rows. No row of it may be
decided on before the lost ones are there again (`docs/decisions/0024-lost-rows.md`).
"""

from collections.abc import Iterable
from enum import Enum, auto
from typing import NamedTuple

from saga_app.core.numbers import FIRST, Offset


class Extent(NamedTuple):
    """All rows of the changelog partition with this topic id, below `reached`.

    The changelog may begin as late as `first`: what was below it was written again behind it.
    """

    topic_id: str
    first: Offset = FIRST
    reached: Offset = FIRST

    def includes(self, other: "Extent") -> bool:
        """True if whoever holds these rows holds the other's too."""
        return self.topic_id == other.topic_id and self.reached >= other.reached


class LogRange(NamedTuple):
    """A changelog partition as the broker has it now."""

    topic_id: str
    begin: Offset
    end: Offset

    def lacks(self, extent: Extent) -> str | None:
        """The part of the extent that this changelog does not have, in words; None if it has everything."""
        if self.topic_id != extent.topic_id:
            return (
                f"it was deleted and made again (its topic id was {extent.topic_id} and is {self.topic_id})"
            )
        if self.end < extent.reached:
            return f"it ends at offset {self.end}, and rows were written up to offset {extent.reached}"
        if self.begin > extent.first:
            return f"it begins at offset {self.begin}, and rows were written from offset {extent.first} on"
        return None


class Demand(NamedTuple):
    """The extent that the group's last commit noted; `is_lost`: it is being written again from a disk."""

    extent: Extent
    is_lost: bool = False


class Remedy(Enum):
    """How the store of a table and partition is brought up to its changelog."""

    #: Read on from where the store has reached.
    FOLLOW = auto()
    #: The changelog is whole, and the store is of another one: empty the store and read everything.
    ANEW = auto()
    #: The store holds what the changelog lost: keep it, read the changelog from its beginning, write the rest again.
    WRITE_AGAIN = auto()


class RowsLost(Exception):
    """Rows that were written are neither in the changelog nor on this disk; the text says which."""


def remedy(log: LogRange, demand: Demand | None, held: Iterable[Extent]) -> Remedy:
    """Compares a changelog with its witnesses; `RowsLost` if no decision may rest on it.

    `held` are the extents whose rows the store holds: the first is of the changelog that it follows, the others are
    of changelogs that lost records, as long as no commit has said that those are there again.
    """
    extents = tuple(held)
    following = extents[0] if extents else None
    if demand is not None:
        lacking = (
            "another worker was writing it again from its disk, and has not said that it is done"
            if demand.is_lost
            else log.lacks(demand.extent)
        )
        if lacking is None:
            if following is None or following.topic_id != log.topic_id:
                return Remedy.ANEW
            # More than one extent: rows were being written again, and nobody has said that all are there.
            is_behind = len(extents) == 1 and following.reached <= log.end
            return Remedy.FOLLOW if is_behind else Remedy.WRITE_AGAIN
        if any(extent.includes(demand.extent) for extent in extents):
            return Remedy.WRITE_AGAIN
        raise RowsLost(lacking)
    if following is None:
        if log.begin > FIRST:
            raise RowsLost(f"it begins at offset {log.begin}, and nobody knows the rows before it")
        return Remedy.ANEW
    return Remedy.WRITE_AGAIN if len(extents) > 1 or log.lacks(following) else Remedy.FOLLOW


def cut_while_running(topic: str, partition: int, lacking: str) -> str:
    """Why a worker ends whose changelog lost rows under it."""
    return (
        f"{topic}[{partition}] lost rows while this worker ran: {lacking}; keep its SAGA_DATA_DIR and start it again: "
        "it writes the rows of its disk again, or says what to do"
    )
