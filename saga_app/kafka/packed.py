"""Record batches as a broker keeps them: their headers, what a compressed one unpacks to, and the records in it.

Few bytes may unpack to very many, and librdkafka bounds that for one codec of four. Nothing here unpacks more than
`MOST_UNPACKED`; the decisions follow from the bytes of a batch alone, so every reader decides the same.
"""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

import cramjam

from saga_app.core.numbers import Offset
from saga_app.kafka.headers import CORRUPT, MOST_HEADERS, NO_UTF8, TOO_LARGE, too_many
from saga_app.kafka.messages import Header

#: Bytes that are unpacked of one batch at most. A batch of an honest client has 1 MiB or so.
MOST_UNPACKED: Final = 8 * 1024 * 1024
#: A batch that unpacks to more times its bytes is dense; JSON shrinks to a tenth.
DENSE: Final = 20
#: Kafka's record batch, version 2: base offset, length, leader epoch, attributes, distance of the last offset, first
#: and largest time, producer, number of records.
_HEADER: Final = struct.Struct(">qii x4x hiqqq 2x4x i")
#: Bytes of the fields up to, and with, the length.
_BEFORE: Final = 12
_CODEC: Final = 0x07
APPEND_TIME: Final = 0x08
_TRANSACTIONAL: Final = 0x10
_CONTROL: Final = 0x20
_CODECS: Final = {
    1: cramjam.gzip.decompress_into,
    3: cramjam.lz4.decompress_into,
    4: cramjam.zstd.decompress_into,
}
#: In what cramjam says of a buffer that is too small, for snappy and for the others.
_FULL: Final = ("smaller than required", "whole buffer")
_SNAPPY: Final = 2
#: Java's framing of snappy: this, two versions, then blocks, each after its length.
_XERIAL: Final = b"\x82SNAPPY\0"
_BLOCK: Final = struct.Struct(">i")
_TOO_MUCH: Final = f"unpack to more than {MOST_UNPACKED}; send them uncompressed"
_NOT_WHOLE: Final = "are not whole records; mend the program that sends them"
_OTHER_OFFSETS: Final = "say that they have other offsets; mend the program that sends them"


class RawBatch(NamedTuple):
    """One batch: the fields of its header, and its records as they are kept."""

    first: Offset
    last: Offset
    epoch: int
    attributes: int
    times: tuple[int, int]
    producer: int
    #: How many offsets hold a record or a marker.
    records: int
    payload: memoryview

    @property
    def is_packed(self) -> bool:
        """True if it is compressed."""
        return bool(self.attributes & _CODEC)

    @property
    def is_control(self) -> bool:
        """True if it is the marker of a transaction's end."""
        return bool(self.attributes & _CONTROL)

    @property
    def is_transactional(self) -> bool:
        return bool(self.attributes & _TRANSACTIONAL)

    @property
    def is_abort(self) -> bool:
        """True if it is the marker of a transaction that was aborted; only for the marker of one."""
        key = next(records_in(self)).key or b""
        return key[2:4] == b"\0\0"

    @property
    def is_dense(self) -> bool:
        """True if a client that unpacks it without a bound could run out of memory."""
        if not self.is_packed:
            return False
        unpacked = unpack(self)
        most = DENSE * (len(self.payload) + _HEADER.size)
        return unpacked.is_cut or unpacked.is_damaged or len(unpacked.data) > most


def batches_in(data: bytes) -> Iterator[RawBatch]:
    """The batches in a broker's answer; the last one may be cut off, and comes with the next answer."""
    at, view = 0, memoryview(data)
    while at + _HEADER.size <= len(data):
        first, length, epoch, attributes, distance, *times, producer, records = _HEADER.unpack_from(data, at)
        end = at + _BEFORE + length
        if not at + _HEADER.size <= end <= len(data):
            return
        payload = view[at + _HEADER.size : end]
        offsets = Offset(first), Offset(first + distance)
        yield RawBatch(*offsets, epoch, attributes, (times[0], times[1]), producer, records, payload)
        at = end


class Unpacked(NamedTuple):
    """The bytes of a batch's records.

    If `is_cut`, there are more than `MOST_UNPACKED`; if `is_damaged`, what follows are bytes that nobody can unpack.
    """

    data: memoryview
    is_cut: bool = False
    is_damaged: bool = False


def unpack(batch: RawBatch) -> Unpacked:
    """Unpacks up to `MOST_UNPACKED` bytes."""
    codec = batch.attributes & _CODEC
    if not codec:
        return Unpacked(batch.payload)
    room = memoryview(bytearray(MOST_UNPACKED))
    if codec == _SNAPPY:
        return _unpack_snappy(batch.payload, room)
    into = _CODECS.get(codec)
    try:
        return Unpacked(room[: into(batch.payload, room)]) if into else Unpacked(room[:0], is_damaged=True)
    except cramjam.DecompressionError as error:
        # It has written what fits. Of bytes that are damaged nobody can tell how many are right.
        return Unpacked(room, is_cut=True) if _is_full(error) else Unpacked(room[:0], is_damaged=True)


def _is_full(error: cramjam.DecompressionError) -> bool:
    return any(each in str(error) for each in _FULL)


def _unpack_snappy(payload: memoryview, room: memoryview) -> Unpacked:
    size = 0
    try:
        if bytes(payload[: len(_XERIAL)]) != _XERIAL:
            return Unpacked(room[: cramjam.snappy.decompress_raw_into(payload, room)])
        at = len(_XERIAL) + 8
        while at < len(payload):
            end = at + _BLOCK.size + _BLOCK.unpack_from(payload, at)[0]
            if not at + _BLOCK.size < end <= len(payload):
                return Unpacked(room[:size], is_damaged=True)
            size += cramjam.snappy.decompress_raw_into(payload[at + _BLOCK.size : end], room[size:])
            at = end
    except cramjam.DecompressionError as error:
        return Unpacked(room[:size], is_cut=_is_full(error), is_damaged=not _is_full(error))
    except struct.error:
        return Unpacked(room[:size], is_damaged=True)
    return Unpacked(room[:size])


class RawRecord(NamedTuple):
    """A record of a batch. Its time is in milliseconds."""

    offset: Offset
    time: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]


def records_in(batch: RawBatch) -> Iterator[RawRecord]:
    """The records of a batch, in the sequence of their offsets. One that is unfit stands for those that are missing.

    A broker does not look at the offsets in a batch that is not compressed: a record there may say any, and only one
    that follows is taken. What is missing is one record at its first offset: there may be millions.
    """
    unpacked, is_cut, is_damaged = unpack(batch)
    at, following = 0, batch.first
    # Compaction takes records out of a batch, and then it has fewer than offsets.
    has_all = batch.records == batch.last - batch.first + 1
    try:
        for _ in range(batch.records):
            length, start = _varint(unpacked, at)
            if not 0 < length <= len(unpacked) - start:
                break
            record = _record(batch, unpacked[start : start + length])
            at = start + length
            if following <= record.offset <= batch.last:
                if has_all and following < record.offset:
                    yield _corrupt(batch, following, record.offset - 1, _OTHER_OFFSETS)
                yield record
                following = Offset(record.offset + 1)
    except (IndexError, ValueError):
        is_damaged = True
    if following <= batch.last:
        size = len(batch.payload)
        if is_cut:
            yield _unfit(batch, following, batch.last, TOO_LARGE, f"are {size} bytes that {_TOO_MUCH}")
        elif is_damaged or at != len(unpacked):
            yield _corrupt(batch, following, batch.last, f"are {size} bytes that {_NOT_WHOLE}")
        elif has_all:
            yield _corrupt(batch, following, batch.last, _OTHER_OFFSETS)


def _corrupt(batch: RawBatch, first: Offset, last: int, why: str) -> RawRecord:
    return _unfit(batch, first, last, CORRUPT, why)


def _unfit(batch: RawBatch, first: Offset, last: int, header: str, why: str) -> RawRecord:
    detail = f"the records from offset {first} to {last} {why}"
    return RawRecord(first, batch.times[1], None, None, ((header, detail.encode()),))


def _record(batch: RawBatch, data: memoryview) -> RawRecord:
    later, at = _varint(data, 1)
    distance, at = _varint(data, at)
    key, at = _bytes(data, at)
    value, at = _bytes(data, at)
    count, at = _varint(data, at)
    time = batch.times[1] if batch.attributes & APPEND_TIME else batch.times[0] + later
    return RawRecord(Offset(batch.first + distance), time, key, value, _headers(data, at, count))


def _headers(data: memoryview, at: int, count: int) -> tuple[Header, ...]:
    if count > MOST_HEADERS:
        return (too_many(count),)
    found: list[Header] = []
    for _ in range(count):
        name, at = _bytes(data, at)
        value, at = _bytes(data, at)
        try:
            found.append(((name or b"").decode(), value))
        except UnicodeDecodeError:
            return (NO_UTF8,)
    return tuple(found)


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """A number of variable length and the place behind it. aiokafka's reads on behind the end of its buffer."""
    found = shift = 0
    while shift < 70:
        byte = data[at]
        found |= (byte & 0x7F) << shift
        at += 1
        shift += 7
        if byte < 0x80:
            return (found >> 1) ^ -(found & 1), at
    raise ValueError("a number of more than ten bytes")


def _bytes(data: memoryview, at: int) -> tuple[bytes | None, int]:
    length, at = _varint(data, at)
    if length < 0:
        return None, at
    if length > len(data) - at:
        raise ValueError("a field that ends behind its record")
    return bytes(data[at : at + length]), at + length
