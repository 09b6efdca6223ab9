"""Hypothesis is set up before the tests are read; a log, and a reader of two inboxes."""

from collections.abc import Iterator, Mapping

import pytest

from saga_app.engine.log import KafkaLog
from saga_app.engine.reader import Reader
from saga_app.kafka.messages import Fetch
from saga_app.local.broker import Broker
from tests.engine.appending import log_at
from tests.engine.faust.parts import make_topics, unique
from tests.engine.recording import RecordingBuffer
from tests.support import profiles  # noqa: F401


@pytest.fixture
def topic(kafka: Broker) -> str:
    """A topic of this test alone."""
    name = unique("inbox")
    make_topics(kafka.address, name, partitions=2)
    return name


@pytest.fixture
def log(kafka: Broker) -> KafkaLog:
    """A log whose lease holds; each test closes it before its loop ends (`in_a_loop`)."""
    return log_at(kafka.address)


@pytest.fixture
def buffer() -> RecordingBuffer:
    """Keeps the batches that the reader hands over of it."""
    return RecordingBuffer()


@pytest.fixture
def other_topic(kafka: Broker) -> str:
    """Another inbox."""
    name = unique("other")
    make_topics(kafka.address, name, partitions=2)
    return name


@pytest.fixture
def other_buffer() -> RecordingBuffer:
    """Keeps those of that one."""
    return RecordingBuffer()


@pytest.fixture
def reader(
    kafka: Broker, topic: str, buffer: RecordingBuffer, other_topic: str, other_buffer: RecordingBuffer
) -> Iterator[Reader]:
    """A reader of both inboxes, to which nothing is assigned."""
    buffers = {topic: buffer, other_topic: other_buffer}

    def deliver(fetched: Mapping[str, Fetch]) -> None:
        for name, fetch in fetched.items():
            buffers[name].batches.extend(fetch)

    config = {"bootstrap.servers": kafka.address, "log_level": 0}
    reader = Reader(config, list(buffers), deliver, lambda name: buffers[name].room)
    reader.start()
    yield reader
    reader.close()
    assert not reader._thread.is_alive()
