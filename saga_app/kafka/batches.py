"""The offsets of a partition that hold nothing at all, found by the headers of its record batches.

librdkafka passes over the markers of transactions and over aborted records without a word, so a consumer cannot tell
them from records that were compacted away. The batches can: compaction takes records out of a batch, or the whole
batch, and leaves a hole.
"""

import asyncio
import struct
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.structs import TopicPartition

from saga_app.core.numbers import Offset
from saga_app.kafka.messages import Place
from saga_app.kafka.offsets import TIMEOUT
from saga_app.settings import Settings

#: Bytes of one answer; a larger batch comes whole.
_AT_A_TIME: Final = 4 * 1024 * 1024
#: Milliseconds that the broker may wait for the first byte.
_WAIT: Final = 500
#: Kafka's record batch, version 2: base offset, length, ..., last offset's distance, ..., number of records.
_HEADER: Final = struct.Struct(">qi 4x x 4x 2x i 8x 8x 8x 2x 4x i")
#: Bytes of the fields up to, and with, the length.
_BEFORE: Final = 12


class BatchOffsets(NamedTuple):
    """The offsets of one batch, and how many of them hold a record or a marker."""

    first: Offset
    last: Offset
    records: int


class Missing(NamedTuple):
    """How many offsets hold nothing, and where the first of them is."""

    number: int
    first: Offset


def missing(settings: Settings, place: Place, start: Offset, end: Offset) -> Missing:
    """Asks for every batch between these offsets. `TimeoutError` if a broker is silent for long."""
    return asyncio.run(_missing(settings, place, start, end))


async def _missing(settings: Settings, place: Place, start: Offset, end: Offset) -> Missing:
    client = AIOKafkaClient(**settings.aiokafka)
    client.set_topics([place[0]])
    try:
        async with asyncio.timeout(TIMEOUT):
            await client.bootstrap()
        return await _look(client, place, start, end)
    except (KafkaError, TimeoutError) as error:
        raise TimeoutError(f"the batches of {place[0]}[{place[1]}] cannot be read: {error!r}") from error
    finally:
        await client.close()


async def _look(client: Any, place: Place, start: Offset, end: Offset) -> Missing:
    number, first, at = 0, end, start
    while at < end:
        async with asyncio.timeout(TIMEOUT):
            spans = list(spans_in(await _fetch(client, place, at)))
        for span in spans:
            if span.last < at or span.first >= end:
                continue
            before = max(0, span.first - at)
            within = span.last + 1 - span.first - span.records
            if before or within:
                first = min(first, at if before else max(at, span.first))
            number += before + within
            at = Offset(span.last + 1)
        if spans and spans[-1].first >= end:
            # Everything up to the end is gone.
            number, first = number + end - at, min(first, at)
            break
    return Missing(number, first)


async def _fetch(client: Any, place: Place, offset: int) -> bytes:
    """Some batches from this offset on; it asks until there are some."""
    request = FetchRequest(_WAIT, 1, _AT_A_TIME, 0, [(place[0], [(place[1], offset, _AT_A_TIME)])])
    while True:
        leader = client.cluster.leader_for_partition(TopicPartition(*place))
        if leader not in (None, -1):
            answer = await client.send(leader, request)
            partition = answer.topics[0][1][0]
            if (code := partition[1]) and not (error := for_code(code)()).retriable:
                raise error
            if not code and partition[-1]:
                return bytes(partition[-1])
        await asyncio.sleep(_WAIT / 1000)
        await client.force_metadata_update()


def spans_in(data: bytes) -> Iterator[BatchOffsets]:
    """The batches in an answer; the last one may be cut off, and comes with the next answer."""
    at = 0
    while at + _HEADER.size <= len(data):
        first, length, distance, records = _HEADER.unpack_from(data, at)
        if at + _BEFORE + length > len(data):
            return
        yield BatchOffsets(Offset(first), Offset(first + distance), records)
        at += _BEFORE + length
