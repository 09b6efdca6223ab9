"""The rows of orders that leave together: cohorts, horizons and totals; see `core.leaving`.

They stand in the journals, under keys of their own, beside the rows of orders.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple, Self

from pydantic_core import from_json, to_json

_BELOW: Final = b'"below":'
_COHORT: Final = re.compile(rb'"cohort":"(\d+):(\d+)"')


class Cohort(NamedTuple):
    """Table `orders`: key `cohort:NUMBER`, orders placed close together; `closed:BELOW`, those that left together.

    The latter are of the cohorts from `first` on; `closed_at` is Kafka's time in milliseconds.
    """

    version: int
    cohort: str
    order_ids: tuple[str, ...]
    first: int | None = None
    closed_at: int | None = None

    def encode(self) -> bytes:
        return to_json(_present(self))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        fields = from_json(data)
        return cls(**{**fields, "order_ids": tuple(fields["order_ids"])})


class Horizon(NamedTuple):
    """Any journal, key `horizon:PARTITION`: all orders of that checkout partition in cohorts below have left.

    At checkout those from `kept` on are still known by small rows, and a cohort is so many offsets wide.
    """

    version: int
    below: int
    kept: int | None = None
    width: int | None = None

    def encode(self) -> bytes:
        return to_json(_present(self))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        return cls(**from_json(data))


class Total(NamedTuple):
    """Tables `payments`, `reservations`, key `gone:BALANCE`: what the orders that have left moved there in all."""

    version: int
    moved: str | int

    def encode(self) -> bytes:
        return to_json(self._asdict())

    @classmethod
    def decode(cls, data: bytes) -> Self:
        return cls(**from_json(data))


#: Rows of their own kind in any table: by how their key begins.
SPECIAL: Final[Mapping[str, type[Cohort | Horizon | Total]]] = {
    "cohort": Cohort,
    "closed": Cohort,
    "horizon": Horizon,
    "gone": Total,
}


def is_milestone(key: bytes) -> bool:
    """Whether what a round writes before this row of a journal must be there when the row is: a horizon, or names."""
    return key.startswith((b"horizon:", b"closed:"))


def cohort_key(number: int) -> str:
    """Keys in the sequence of their numbers."""
    return f"cohort:{number:016d}"


def closed_key(below: int) -> str:
    """The cohorts that left together, by the number below which they are."""
    return f"closed:{below:016d}"


def horizon_key(partition: int) -> str:
    """Of a checkout partition, in any journal."""
    return f"horizon:{partition}"


@lru_cache(maxsize=1_024)
def parts_of(cohort: str) -> tuple[int, int]:
    """The checkout partition and the number of a cohort; many orders in a row are of the same few."""
    partition, _, number = cohort.partition(":")
    return int(partition), int(number)


class Horizons:
    """The horizons of one journal: which rows must not be there any more, whoever wrote them and when."""

    def __init__(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        # A customer or a warehouse may be called horizon: balances have such keys too.
        found = {int(key.rpartition(b":")[2]): Horizon.decode(data) for key, data in rows if _BELOW in data}
        self._found: Mapping[int, Horizon] = found
        self.version = max((each.version for each in found.values()), default=-1)

    def __bool__(self) -> bool:
        return bool(self._found)

    def is_below(self, key: bytes, data: bytes) -> bool:
        """Whether the row is of a cohort that has left, or at checkout is forgotten."""
        cohort = _COHORT.search(data) if self._found else None
        horizon = self._found.get(int(cohort[1])) if cohort else None
        if cohort is None or horizon is None:
            return False
        remembered = horizon.kept is not None and not key.startswith(b"cohort:")
        limit = horizon.kept if remembered and horizon.kept is not None else horizon.below
        return int(cohort[2]) < limit


def _present(row: Cohort | Horizon) -> dict[str, Any]:
    return {name: value for name, value in zip(row._fields, row, strict=True) if value is not None}
