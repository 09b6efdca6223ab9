"""Batches: nothing unpacks to more than is safe, and every reader finds the same records in the same bytes."""

import struct
import tracemalloc

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from saga_app.core.errors import Fault, Rejected
from saga_app.kafka.headers import MOST_HEADERS, require_fit
from saga_app.kafka.packed import DENSE, MOST_UNPACKED, RawBatch, batches_in, records_in
from tests.kafka.batches_made import CODECS, GZIP, LZ4, SNAPPY, ZSTD, batch, batch_of, record
from tests.support.profiles import examples

PACKED = [GZIP, SNAPPY, LZ4, ZSTD]
#: What JSON shrinks to is less than this; random bytes do not shrink at all.
UNLIKE = bytes(range(256)) * 8


def one(data: bytes) -> RawBatch:
    (found,) = batches_in(data)
    return found


def refusal(found: RawBatch, fault: Fault) -> str:
    """Why the last record of this batch is refused, with this fault."""
    *_, last = records_in(found)
    assert last.value is None and last.key is None
    with pytest.raises(Rejected) as refused:
        require_fit(last.headers)
    assert refused.value.fault is fault
    return refused.value.detail


@pytest.mark.parametrize("codec", CODECS)
def test_the_records_of_any_codec_are_those_that_were_sent(codec: int) -> None:
    data = record(0, b"a", b"k", [(b"name", b"v"), (b"none", None)]) + record(1, None) + record(2, b"")
    found = one(batch(data, 3, codec=codec, first=40))
    assert [(each.offset, each.key, each.value, each.headers) for each in records_in(found)] == [
        (40, b"k", b"a", (("name", b"v"), ("none", None))),
        (41, None, None, ()),
        (42, None, b"", ()),
    ]
    assert (found.first, found.last, found.epoch, found.records) == (40, 42, 7, 3)


def test_java_frames_snappy_in_blocks() -> None:
    data = record(0, b"a" * 100)
    blocks = [CODECS[SNAPPY](each) for each in (data[:50], data[50:])]
    framed = b"\x82SNAPPY\0" + struct.pack(">ii", 1, 1)
    framed += b"".join(struct.pack(">i", len(each)) + each for each in blocks)
    plain = batch(framed, 1)
    packed = plain[:22] + bytes([SNAPPY]) + plain[23:]
    assert [each.value for each in records_in(one(packed))] == [b"a" * 100]


@pytest.mark.parametrize("codec", PACKED)
def test_a_batch_that_unpacks_to_too_much_is_one_record_that_is_refused(codec: int) -> None:
    found = one(batch_of([b"1" * (3 * MOST_UNPACKED)], codec=codec, first=5))
    assert found.is_dense
    assert [each.offset for each in records_in(found)] == [5]
    assert f"the records from offset 5 to 5 are {len(found.payload)} bytes" in refusal(found, Fault.TOO_LARGE)


@pytest.mark.parametrize("codec", [GZIP, LZ4, ZSTD])
def test_the_records_before_what_is_too_much_are_read(codec: int) -> None:
    found = one(batch_of([b"first", b"second", b"1" * (2 * MOST_UNPACKED), b"lost", b"lost"], codec=codec))
    assert [each.value for each in records_in(found)] == [b"first", b"second", None]
    assert "the records from offset 2 to 4 " in refusal(found, Fault.TOO_LARGE)


@pytest.mark.parametrize("codec", PACKED)
def test_no_more_memory_is_taken_than_is_safe(codec: int) -> None:
    data = batch_of([b"1" * (12 * MOST_UNPACKED)], codec=codec)
    tracemalloc.start()
    try:
        assert one(data).is_dense and len(list(records_in(one(data)))) == 1
        assert tracemalloc.get_traced_memory()[1] < 2 * MOST_UNPACKED
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("codec", PACKED)
def test_bytes_that_are_damaged_are_a_corrupt_batch(codec: int) -> None:
    data = batch_of([UNLIKE, UNLIKE], codec=codec)
    broken = data[:100] + bytes(len(data) - 100)
    found = one(broken)
    assert found.is_dense
    assert "the records from offset 0 to 1 " in refusal(found, Fault.CORRUPT_BATCH)


@pytest.mark.parametrize("codec", CODECS)
def test_records_that_end_too_soon_are_a_corrupt_batch(codec: int) -> None:
    found = one(batch(record(0, b"whole") + record(1, b"cut off")[:-3], 2, codec=codec))
    assert [each.value for each in records_in(found)] == [b"whole", None]
    assert "that are not whole records" in refusal(found, Fault.CORRUPT_BATCH)


#: The distances that the records of a batch say, and the offsets of what is read; an unfit record stands for a hole.
DISTANCES = [
    ([0, 1, 2], [(0, True), (1, True), (2, True)]),
    ([7], [(0, False)]),
    ([-1, 0], [(0, True), (1, False)]),
    ([0, 0, 2], [(0, True), (1, False), (2, True)]),
    ([2, 0, 1], [(0, False), (2, True)]),
    ([0, 2**40, 2], [(0, True), (1, False), (2, True)]),
]


@pytest.mark.parametrize(("distances", "expected"), DISTANCES)
def test_of_records_that_lie_about_their_offsets_only_those_that_follow_are_read(
    distances: list[int], expected: list[tuple[int, bool]]
) -> None:
    payload = b"".join(record(distance, b"v") for distance in distances)
    read = list(records_in(one(batch(payload, len(distances), first=40))))
    assert [(each.offset - 40, each.value is not None) for each in read] == expected
    for each in read:
        if each.value is None:
            with pytest.raises(Rejected, match="say that they have other offsets") as refused:
                require_fit(each.headers)
            assert refused.value.fault is Fault.CORRUPT_BATCH


def test_only_what_shrinks_to_a_small_part_is_dense() -> None:
    orders = b"".join(b'{"order_id":"%d","amount":"%d.50","lines":[]}' % (at, at * 7) for at in range(2_000))
    for codec in PACKED:
        assert not one(batch_of([orders], codec=codec)).is_dense
        assert codec == SNAPPY or one(batch_of([b"1" * 500 * DENSE], codec=codec)).is_dense
    assert not one(batch_of([b"1" * 500 * DENSE])).is_dense


@pytest.mark.parametrize("count", [MOST_HEADERS, MOST_HEADERS + 1, 400_000])
def test_headers_are_made_only_where_there_are_not_too_many(count: int) -> None:
    data = record(0, b"v", None, [(b"", b"")] * count) + record(1, b"next")
    first, second = records_in(one(batch(data, 2)))
    assert second.value == b"next"
    assert len(first.headers) == (count if count <= MOST_HEADERS else 1)
    if count > MOST_HEADERS:
        with pytest.raises(Rejected, match=f"{count} headers; a record has at most {MOST_HEADERS}"):
            require_fit(first.headers)


def test_markers_of_transactions_are_told_from_records() -> None:
    commit, abort = (
        one(batch(record(0, b"\0" * 6, b"\0\0\0" + kind), 1, attributes=0x30)) for kind in (b"\1", b"\0")
    )
    assert commit.is_control and commit.is_transactional and not commit.is_abort
    assert abort.is_abort


@examples(300)
@for_all(st.data())
def test_any_bytes_are_records_or_a_refusal(data: st.DataObject) -> None:
    """A batch with pieces put in anywhere behind its header: every offset has a fate, and none has two."""
    codec = data.draw(st.sampled_from([0, *PACKED]))
    values = data.draw(st.lists(st.binary(max_size=40), min_size=1, max_size=6))
    payload = b"".join(record(at, value) for at, value in enumerate(values))
    for at, piece in data.draw(st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=9)))):
        place = int(at * len(payload))
        payload = payload[:place] + piece + payload[place:]
    for found in batches_in(batch(payload, len(values), codec=codec)):
        offsets = [each.offset for each in records_in(found)]
        assert offsets == sorted(set(offsets)) and offsets
        assert offsets[0] >= found.first and offsets[-1] <= found.last
