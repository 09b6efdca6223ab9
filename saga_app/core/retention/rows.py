"""The rows of orders that leave together: segments, low watermarks and totals; see `core.retention`.

They stand in the journals, under keys of their own, beside the rows of orders.
"""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple, Self

from pydantic_core import from_json, to_json

from saga_app.core.row_keys import KeyKind, number_in

_BELOW: Final = b'"below":'
_SEGMENT: Final = re.compile(rb'"segment":"(\d+):(\d+)"')


class Segment(NamedTuple):
    """Table `orders`: key `segment:NUMBER`, orders placed close together; `closed:BELOW`, those that left together.

    The latter are of the segments from `first` on; `closed_at` is Kafka's time in milliseconds.
    """

    version: int
    segment: str
    order_ids: tuple[str, ...]
    first: int | None = None
    closed_at: int | None = None

    def encode(self) -> bytes:
        return to_json(_present(self))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        fields = from_json(data)
        return cls(**{**fields, "order_ids": tuple(fields["order_ids"])})


class LowWatermark(NamedTuple):
    """Any journal, key `low_watermark:PARTITION`: all orders of that checkout partition in segments below have left.

    At checkout those from `kept` on are still known by small rows, and a segment is so many offsets wide.
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
    """Tables `payments`, `reservations`, key `evicted:BALANCE`: what the orders that have left moved there in all."""

    version: int
    moved: Decimal | int

    def encode(self) -> bytes:
        return to_json(self._asdict())

    @classmethod
    def decode(cls, data: bytes) -> Self:
        fields = from_json(data)
        moved = fields["moved"]
        return cls(fields["version"], moved if isinstance(moved, int) else Decimal(moved))


#: Rows of their own kind in a journal, by the kind of their key.
SPECIAL: Final[Mapping[KeyKind | None, type[Segment | LowWatermark | Total]]] = {
    KeyKind.SEGMENT: Segment,
    KeyKind.CLOSED: Segment,
    KeyKind.LOW_WATERMARK: LowWatermark,
    KeyKind.EVICTED: Total,
}


class LowWatermarks:
    """The low watermarks of one journal: which rows must not be there any more, whoever wrote them and when."""

    def __init__(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        # A customer or a warehouse may be called low watermark: balances have such keys too.
        found = {number_in(key.decode()): LowWatermark.decode(data) for key, data in rows if _BELOW in data}
        self._found: Mapping[int, LowWatermark] = found
        self.version = max((each.version for each in found.values()), default=-1)

    def __bool__(self) -> bool:
        return bool(self._found)

    def is_below(self, key: bytes, data: bytes) -> bool:
        """Whether the row is of a segment that has left, or at checkout is forgotten."""
        segment = _SEGMENT.search(data) if self._found else None
        low_watermark = self._found.get(int(segment[1])) if segment else None
        if segment is None or low_watermark is None:
            return False
        remembered = low_watermark.kept is not None and not key.startswith(KeyKind.SEGMENT.prefix)
        limit = low_watermark.kept if remembered and low_watermark.kept is not None else low_watermark.below
        return int(segment[2]) < limit


def _present(row: Segment | LowWatermark) -> dict[str, Any]:
    return {name: value for name, value in zip(row._fields, row, strict=True) if value is not None}
