"""The offsets of a partition that hold nothing at all, found by the headers of its record batches.

librdkafka passes over the markers of transactions and over aborted records without a word, so a consumer cannot tell
them from records that were compacted away. The batches can: compaction takes records out of a batch, or the whole
batch, and leaves a hole.
"""

from collections.abc import Iterable
from typing import NamedTuple

from aiokafka.errors import KafkaError

from saga_app.core.numbers import Offset
from saga_app.kafka.messages import Place
from saga_app.kafka.packed import RawBatch
from saga_app.kafka.raw import RawClient
from saga_app.settings import Settings


class Missing(NamedTuple):
    """How many offsets hold nothing, and where the first of them is."""

    number: int
    first: Offset


def missing(settings: Settings, place: Place, start: Offset, end: Offset) -> Missing:
    """Asks for every batch between these offsets. `TimeoutError` if a broker is silent for long."""
    try:
        with RawClient(settings.kafka, [place[0]]) as client:
            return holes(client.batches(place, start, end), start, end)
    except KafkaError as error:
        raise TimeoutError(f"the batches of {place[0]}[{place[1]}] cannot be read: {error!r}") from error


def holes(batches: Iterable[RawBatch], start: Offset, end: Offset) -> Missing:
    """The offsets from `start` up to, not including, `end` that none of these batches holds."""
    number, first, at = 0, end, start
    for batch in batches:
        if batch.last < at or batch.first >= end:
            continue
        before = max(0, batch.first - at)
        within = batch.last + 1 - batch.first - batch.records
        if before or within:
            first = min(first, at if before else max(at, batch.first))
        number += before + within
        at = Offset(batch.last + 1)
    if at < end:
        number, first = number + end - at, min(first, at)
    return Missing(number, first)
