"""The rows of retention: segments, low watermarks and totals; and cancellations that wait for their order.

They stand in the journals, under keys of their own, beside the rows of orders.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple, Self

from pydantic_core import from_json, to_json

from saga_app.core.numbers import Offset, Version
from saga_app.core.row_keys import KeyKind


class EarlyCancellation(NamedTuple):
    """Table `orders`, key `cancellation:ORDER_ID`: a cancellation that came before its order.

    `requested_at` is Kafka's time in milliseconds. `met_at` is the offset of the `OrderPlaced` that it met: it cancels
    that order, and none that has the same id later.
    """

    version: Version
    requested_at: int
    segment: str | None = None
    met_at: Offset | None = None

    def encode(self) -> bytes:
        return to_json(_present(self._asdict()))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        return cls(**from_json(data))


class Segment(NamedTuple):
    """Table `orders`, key `segment:NUMBER`: the orders that were placed in one segment.

    `cancelled_ids` are those of the orders that were cancelled in it before they were placed.
    """

    version: Version
    segment: str
    order_ids: tuple[str, ...]
    cancelled_ids: tuple[str, ...] = ()

    def encode(self) -> bytes:
        fields = self._asdict()
        if not self.cancelled_ids:
            del fields["cancelled_ids"]
        return to_json(fields)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        fields = from_json(data)
        names = {name: tuple(each) for name, each in fields.items() if name.endswith("_ids")}
        return cls(**{**fields, **names})


class ClosedSegments(NamedTuple):
    """Table `orders`, key `closed:BELOW`: the orders of the segments that one record closed.

    `segment` is the last of these segments; `closed_at` is Kafka's time in milliseconds.
    """

    version: Version
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

    Only checkout has `purged_below`, below which the small rows are purged, and `segment_width`, the offsets of a
    segment. Only the other services have `closed_below`: the segments below it are closed, as a record has said.
    """

    version: Version
    evicted_below: int
    purged_below: int | None = None
    segment_width: int | None = None
    closed_below: int | None = None

    @property
    def closed(self) -> int:
        """The segments below this are closed."""
        return self.evicted_below if self.closed_below is None else self.closed_below

    def encode(self) -> bytes:
        return to_json(_present(self._asdict()))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        return cls(**from_json(data))


class Total(NamedTuple):
    """Tables `payments`, `reservations`, key `evicted:BALANCE`: the sum of what the evicted orders moved there."""

    version: Version
    moved: Decimal | int

    def encode(self) -> bytes:
        return to_json(self._asdict())

    @classmethod
    def decode(cls, data: bytes) -> Self:
        fields = from_json(data)
        moved = fields["moved"]
        return cls(fields["version"], moved if isinstance(moved, int) else Decimal(moved))


#: Rows of their own kind in a journal, by the kind of their key.
SPECIAL: Final[
    Mapping[KeyKind | None, type[EarlyCancellation | Segment | ClosedSegments | LowWatermark | Total]]
] = {
    KeyKind.CANCELLATION: EarlyCancellation,
    KeyKind.SEGMENT: Segment,
    KeyKind.CLOSED: ClosedSegments,
    KeyKind.LOW_WATERMARK: LowWatermark,
    KeyKind.EVICTED: Total,
}


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
