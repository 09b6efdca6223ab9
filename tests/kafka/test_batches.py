"""Offsets that no batch holds."""

import pytest

from saga_app.core.numbers import Offset
from saga_app.kafka.batches import Missing, holes
from saga_app.kafka.packed import RawBatch


def batch(first: int, last: int, records: int | None = None) -> RawBatch:
    number = last + 1 - first if records is None else records
    return RawBatch(Offset(first), Offset(last), 0, 0, (0, 0), -1, number, memoryview(b""))


@pytest.mark.parametrize(
    ("batches", "found"),
    [
        ([batch(0, 4), batch(5, 9)], Missing(0, Offset(10))),
        ([batch(0, 3), batch(6, 9)], Missing(2, Offset(4))),
        ([batch(0, 4, records=3), batch(5, 9)], Missing(2, Offset(0))),
        ([batch(3, 9)], Missing(3, Offset(0))),
        ([batch(0, 6)], Missing(3, Offset(7))),
        ([batch(0, 6), batch(12, 13)], Missing(3, Offset(7))),
        ([], Missing(10, Offset(0))),
    ],
)
def test_every_offset_that_no_batch_holds_is_counted(batches: list[RawBatch], found: Missing) -> None:
    """Before a batch, within it, behind the last one, and where everything up to the end is gone."""
    assert holes(batches, Offset(0), Offset(10)) == found
