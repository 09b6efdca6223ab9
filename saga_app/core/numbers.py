"""Whole numbers that must not be mixed up: a type checker tells them apart."""

from typing import Final, NewType

#: The place of a record in its partition.
Offset = NewType("Offset", int)
#: The version of a row: the inbox offset of the last record that changed it. An offset is not a version by itself.
Version = NewType("Version", Offset)
#: The generation of a consumer group: each rebalance begins a new one.
Generation = NewType("Generation", int)


def version_at(offset: int) -> Version:
    """The version of a row that the record at this offset of the inbox changed last."""
    return Version(Offset(offset))


#: Where a partition begins.
FIRST: Final = Offset(0)
#: Before every version: of a row that no record has changed.
NEVER: Final = version_at(-1)
