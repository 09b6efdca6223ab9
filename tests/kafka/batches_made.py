"""Record batches as producers send them, made by hand: any codec, any records, and what no client would send."""

import gzip
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import cramjam
from aiokafka.record.util import calc_crc32c

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
CODECS: Final[dict[int, Callable[[bytes], bytes]]] = {
    0: bytes,
    GZIP: gzip.compress,
    SNAPPY: lambda data: bytes(cramjam.snappy.compress_raw(data)),
    LZ4: lambda data: bytes(cramjam.lz4.compress(data)),
    ZSTD: lambda data: bytes(cramjam.zstd.compress(data)),
}
Headers = Sequence[tuple[bytes, bytes | None]]


def varint(number: int) -> bytes:
    """A number as Kafka writes it in records."""
    left = (number << 1) ^ (number >> 63)
    found = bytearray()
    while left > 0x7F:
        found.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*found, left])


def field(value: bytes | None) -> bytes:
    """A field of a record, after its length."""
    return varint(-1) if value is None else varint(len(value)) + value


def record(distance: int, value: bytes | None, key: bytes | None = None, headers: Headers = ()) -> bytes:
    """One record of a batch."""
    written = b"".join(field(name) + field(content) for name, content in headers)
    data = b"\0" + varint(0) + varint(distance) + field(key) + field(value) + varint(len(headers)) + written
    return varint(len(data)) + data


def batch(
    payload: bytes, count: int, *, codec: int = 0, first: int = 0, attributes: int = 0, producer: int = -1
) -> bytes:
    """A batch of so many records, whose bytes are `payload`, and are compressed as the codec does it."""
    packed = CODECS[codec](payload)
    rest = (
        struct.pack(">hiqqqhii", codec | attributes, count - 1, 1_000, 2_000, producer, -1, -1, count)
        + packed
    )
    return struct.pack(">qiibI", first, len(rest) + 9, 7, 2, calc_crc32c(rest)) + rest


def batch_of(values: Iterable[bytes | None], **options: int) -> bytes:
    """A batch of records with these values."""
    records = [record(distance, value) for distance, value in enumerate(values)]
    return batch(b"".join(records), len(records), **options)
