"""Rows lie in the partition of their key; with another number of partitions they do not.

The counts of topics cannot tell: after partitions were added, a worker with the new number finds as many as it wants.
It would look for an account in a partition where it is not, and know none of its deposits.
"""

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final

from saga_app import topics
from saga_app.core.row_keys import order_in, parts_of_balance

#: Rows of a partition that are looked at: each of them fits by chance in one of some partitions only.
ENOUGH: Final = 1_000

#: By the key of a row, the key from which its partition follows; None if that is in no key.
Owner = Callable[[bytes], str | None]


def owner_of_balance(key: bytes) -> str | None:
    """The customer or the warehouse."""
    return parts_of_balance(key.decode())[0]


owner_of_order: Final[Owner] = order_in


def misplaced(
    rows: Iterable[tuple[bytes, bytes]], owner: Owner, partition: int, partitions: int
) -> str | None:
    """The first of the rows that belongs to another partition, in words."""
    for key, _ in islice(rows, ENOUGH):
        name = owner(key)
        if name is not None and (right := topics.partition_of(name, partitions)) != partition:
            return f"the row of {name}, which belongs to partition {right} of {partitions}"
    return None
