"""The rows of retention: segments, low watermarks and totals.

They stand in the journals, under keys of their own, beside the rows of orders.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple, Self

from pydantic_core import from_json, to_json


class Segment(NamedTuple):
    """Table `orders`, key `segment:NUMBER`: the orders that were placed in one segment."""

    version: int
    segment: str
    order_ids: tuple[str, ...]

    def encode(self) -> bytes:
        return to_json(self._asdict())

    @classmethod
    def decode(cls, data: bytes) -> Self:
        fields = from_json(data)
        return cls(**{**fields, "order_ids": tuple(fields["order_ids"])})


class ClosedSegments(NamedTuple):
    """Table `orders`, key `closed:BELOW`: the orders of the segments that one record closed.

    `segment` is the last of these segments; `closed_at` is Kafka's time in milliseconds.
    """

    version: int
    segment: str
    order_ids: tuple[str, ...]
    first_segment: int
    closed_at: int

    def encode(self) -> bytes:
        return to_json(self._asdict())

    @classmethod
    def decode(cls, data: bytes) -> Self:
        fields = from_json(data)
        return cls(**{**fields, "order_ids": tuple(fields["order_ids"])})


class LowWatermark(NamedTuple):
    """Any journal, key `low_watermark:PARTITION`: below it every order of that checkout partition is evicted.

    Only checkout has the last two fields: below which segment the small rows are purged, and the offsets of a segment.
    """

    version: int
    evicted_below: int
    purged_below: int | None = None
    segment_width: int | None = None

    def encode(self) -> bytes:
        return to_json(_present(self._asdict()))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        return cls(**from_json(data))


class Total(NamedTuple):
    """Tables `payments`, `reservations`, key `evicted:BALANCE`: the sum of what the evicted orders moved there."""

    version: int
    moved: str | int

    def encode(self) -> bytes:
        return to_json(self._asdict())

    @classmethod
    def decode(cls, data: bytes) -> Self:
        return cls(**from_json(data))


#: Rows of their own kind in any table: by how their key begins.
SPECIAL: Final[Mapping[str, type[Segment | ClosedSegments | LowWatermark | Total]]] = {
    "segment": Segment,
    "closed": ClosedSegments,
    "low_watermark": LowWatermark,
    "evicted": Total,
}


def segment_key(number: int) -> str:
    """Keys in the sequence of their numbers."""
    return f"segment:{number:016d}"


def closed_key(below: int) -> str:
    """Segments that were closed together have the key of the number below which they are."""
    return f"closed:{below:016d}"


def low_watermark_key(partition: int) -> str:
    """Of a checkout partition, in any journal."""
    return f"low_watermark:{partition}"


@lru_cache(maxsize=1_024)
def parts_of(segment: str) -> tuple[int, int]:
    """The checkout partition and the number of a segment; many orders in a row are of the same few."""
    partition, _, number = segment.partition(":")
    return int(partition), int(number)


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
