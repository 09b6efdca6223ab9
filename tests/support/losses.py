"""Losses under the workers: Kafka or an operator deletes a topic, or loses the end of a partition."""

import os
import struct
import time
from collections.abc import Callable
from pathlib import Path

from confluent_kafka.admin import AdminClient

from saga_app.local.broker import Broker

#: Base offset and length of a batch of records, as they stand in a segment.
_HEADER = struct.Struct(">qi")


def delete(address: str, topic: str) -> None:
    """Deletes a topic, and waits until it is gone."""
    admin = AdminClient({"bootstrap.servers": address, "log_level": 3})
    for future in admin.delete_topics([topic]).values():
        future.result(20)
    _until(lambda: topic not in admin.list_topics(timeout=15).topics)


def lose_end(broker: Broker, topic: str, partition: int, batches: int) -> None:
    """Kills the broker, cuts off the last batches of a partition that was never flushed, and starts it again."""
    broker.kill()
    (segment,) = sorted((broker.folder / "data" / f"{topic}-{partition}").glob("*.log"))[-1:]
    starts = _starts(segment)
    assert len(starts) > batches, f"{segment} has {len(starts)} batches"
    os.truncate(segment, starts[-batches])
    broker.start().wait()


def _starts(segment: Path) -> list[int]:
    """Where each batch of a segment begins."""
    data, at, found = segment.read_bytes(), 0, []
    while at + _HEADER.size <= len(data):
        _, length = _HEADER.unpack_from(data, at)
        if length <= 0:
            break
        found.append(at)
        at += _HEADER.size + length
    return found


def _until(holds: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)
