"""The reader: from a known position, whole batches without gaps, and nothing of an earlier assignment.

Answers faust#216, faust#221, faust#229 (records fetched before a rebalance are delivered after it) and faust#596
(offsets without a record, `docs/reference/faust.md#a14`); what stock Faust does with both is in `test_delivery` and
`test_commits`.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.structs import TopicPartition as AioPartition
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from saga_app.core.errors import Rejected
from saga_app.core.numbers import Generation, Offset
from saga_app.engine import reader as module
from saga_app.engine.exits import Exit, Fatal
from saga_app.engine.reader import Reader
from saga_app.kafka import chunks as chunked
from saga_app.kafka import liveness
from saga_app.kafka.headers import COST, HEADERS_DROPPED, MOST_HEADERS, require_fit
from saga_app.kafka.messages import Batch, Fetch, Place
from saga_app.kafka.packed import MOST_UNPACKED
from saga_app.local.broker import Broker
from saga_app.orderdb.copy import source
from saga_app.settings import Settings
from tests.engine.faust.parts import NO_BROKER, in_a_loop, make_topics, stock_app, unique, wait_until, write
from tests.kafka.batches_made import batch, record, varint

pytestmark = pytest.mark.live


class RecordingBuffer:
    """Keeps the batches that the reader hands over."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.room = True

    def of(self, generation: int, partition: int = 0) -> list[Batch]:
        return [each for each in self.batches if (each.generation, each.partition) == (generation, partition)]

    def offsets(self, generation: int, partition: int = 0) -> list[int]:
        return [message.offset for batch in self.of(generation, partition) for message in batch.messages]

    def end(self, generation: int, partition: int = 0) -> int:
        return max((batch.end for batch in self.of(generation, partition)), default=-1)


@pytest.fixture
def topic(kafka: Broker) -> str:
    name = unique("inbox")
    make_topics(kafka.address, name, partitions=2)
    return name


@pytest.fixture
def buffer() -> RecordingBuffer:
    return RecordingBuffer()


@pytest.fixture
def other_topic(kafka: Broker) -> str:
    name = unique("other")
    make_topics(kafka.address, name, partitions=2)
    return name


@pytest.fixture
def other_buffer() -> RecordingBuffer:
    return RecordingBuffer()


@pytest.fixture
def reader(
    kafka: Broker, topic: str, buffer: RecordingBuffer, other_topic: str, other_buffer: RecordingBuffer
) -> Iterator[Reader]:
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


def assign(reader: Reader, positions: Mapping[Place, int], generation: int) -> None:
    """This generation reads on from there."""
    starts = {place: Offset(at) for place, at in positions.items()}
    reader.assign(starts, Generation(generation))


def values(count: int) -> list[bytes]:
    return [b"%d" % at for at in range(count)]


def contiguous(batches: list[Batch], start: int) -> bool:
    """True if each batch begins where the one before it ended."""
    ends = [start, *(batch.end for batch in batches)]
    return all(batch.start == end for batch, end in zip(batches, ends, strict=False))


def test_reading_starts_at_the_given_position(
    kafka: Broker, topic: str, reader: Reader, buffer: RecordingBuffer
) -> None:
    write(kafka.address, topic, values(10))
    assign(reader, {(topic, 0): 4}, 1)
    wait_until(lambda: buffer.end(1) == 10)
    assert buffer.offsets(1) == [4, 5, 6, 7, 8, 9]
    assert buffer.batches[0].messages[0].value == b"4"


def test_a_batch_tells_the_bytes_of_its_values(
    kafka: Broker, topic: str, reader: Reader, buffer: RecordingBuffer
) -> None:
    write(kafka.address, topic, [b"x" * 10, b"", b"x" * 100])
    assign(reader, {(topic, 0): 0}, 1)
    wait_until(lambda: buffer.end(1) == 3)
    assert sum(batch.size for batch in buffer.batches) == 110


def test_keys_and_headers_count_too(
    kafka: Broker, topic: str, reader: Reader, buffer: RecordingBuffer
) -> None:
    """Whoever sends them without values could fill a worker's memory."""
    write(kafka.address, topic, [b""], keys=[b"k" * 20], headers=[("name", b"x" * 30), ("none", None)])
    assign(reader, {(topic, 0): 0}, 1)
    wait_until(lambda: buffer.end(1) == 1)
    assert sum(batch.size for batch in buffer.batches) == 20 + 4 + 30 + 4 + 2 * COST


#: Other clients may give a header any name. aiokafka's builder in Python asks the name for its bytes.
STRANGER = """
import asyncio, sys
from aiokafka import AIOKafkaProducer

class Name(str):
    def encode(self, *_):
        return bytes([0x61, 0xFF])

async def main():
    async with AIOKafkaProducer(bootstrap_servers=sys.argv[1]) as producer:
        for _ in range(200):
            await producer.send(sys.argv[2], b"x", partition=0, headers=[(Name("a"), b"1"), ("b", b"2")])

asyncio.run(main())
"""


def test_a_header_whose_name_is_no_text_stops_nobody(
    kafka: Broker, topic: str, reader: Reader, buffer: RecordingBuffer
) -> None:
    """confluent-kafka does not raise the error that it has met; what is called often notices it only later."""
    words = [sys.executable, "-c", STRANGER, kafka.address, topic]
    subprocess.run(words, env={**os.environ, "AIOKAFKA_NO_EXTENSIONS": "1"}, check=True, timeout=30)
    assign(reader, {(topic, 0): 0}, 1)
    wait_until(lambda: buffer.end(1) == 200)
    read = [message for batch in buffer.batches for message in batch.messages]
    assert {(each.value, *(name for name, _ in each.headers)) for each in read} == {(b"x", HEADERS_DROPPED)}


def test_batches_follow_each_other_without_a_gap(
    kafka: Broker, topic: str, reader: Reader, buffer: RecordingBuffer
) -> None:
    assign(reader, {(topic, 0): 0}, 1)
    for _ in range(3):
        write(kafka.address, topic, values(2500))
    wait_until(lambda: buffer.end(1) == 7500)
    assert len(buffer.batches) > 1
    assert contiguous(buffer.of(1), 0)
    assert buffer.offsets(1) == list(range(7500))


def test_a_partition_that_is_not_assigned_is_not_read(
    kafka: Broker, topic: str, reader: Reader, buffer: RecordingBuffer
) -> None:
    producer = Producer({"bootstrap.servers": kafka.address})
    producer.produce(topic, b"other", partition=1)
    assert producer.flush(10) == 0
    write(kafka.address, topic, values(5))
    assign(reader, {(topic, 0): 0}, 1)
    wait_until(lambda: buffer.end(1) == 5)
    assert {batch.partition for batch in buffer.batches} == {0}
    assign(reader, {(topic, 0): 5, (topic, 1): 0}, 2)
    wait_until(lambda: buffer.end(2, 1) == 1)


def transactions(kafka: Broker, topic: str) -> None:
    """Records 0-2 are committed, 4-6 aborted, 8 committed; 3, 7 and 9 hold the ends of the transactions."""
    producer = Producer({"bootstrap.servers": kafka.address, "transactional.id": unique("t"), "log_level": 0})
    producer.init_transactions(20)
    for count, end in (
        (3, producer.commit_transaction),
        (3, producer.abort_transaction),
        (1, producer.commit_transaction),
    ):
        producer.begin_transaction()
        for at in range(count):
            producer.produce(topic, b"%d" % at, partition=0)
        producer.flush(20)
        end(20)


def test_offsets_without_a_record_belong_to_the_batch_after_them(
    kafka: Broker, topic: str, reader: Reader, buffer: RecordingBuffer
) -> None:
    transactions(kafka, topic)
    assign(reader, {(topic, 0): 0}, 1)
    wait_until(lambda: buffer.end(1) == 10)
    assert buffer.offsets(1) == [0, 1, 2, 8]
    assert contiguous(buffer.of(1), 0)


def test_nothing_is_read_after_the_partitions_were_given_up(
    kafka: Broker, topic: str, reader: Reader, buffer: RecordingBuffer
) -> None:
    write(kafka.address, topic, values(10))
    assign(reader, {(topic, 0): 0}, 1)
    wait_until(lambda: buffer.end(1) == 10)
    reader.unassign()
    wait_until(lambda: not reader._changed.is_set() and not reader._next)
    write(kafka.address, topic, values(10))
    assign(reader, {(topic, 0): 15}, 2)
    wait_until(lambda: buffer.end(2) == 20)
    assert buffer.offsets(1) == list(range(10))
    assert buffer.offsets(2) == list(range(15, 20))


def test_nothing_is_lost_and_nothing_is_mixed_over_a_new_assignment(
    kafka: Broker, topic: str, reader: Reader, buffer: RecordingBuffer
) -> None:
    write(kafka.address, topic, values(20_000))
    start, starts = 0, [0]
    for generation in range(1, 8):
        assign(reader, {(topic, 0): start}, generation)
        wait_until(partial(buffer.of, generation))
        # What is durable when partitions are given up is behind what has been fetched.
        start = buffer.of(generation)[0].end if generation % 2 else max(0, start - 100)
        starts.append(start)
    assign(reader, {(topic, 0): start}, 8)
    wait_until(lambda: buffer.end(8) == 20_000)
    for generation, first in enumerate(starts, 1):
        assert contiguous(buffer.of(generation), first)
        found = buffer.offsets(generation)
        assert found == list(range(first, first + len(found)))


def test_nothing_is_fetched_while_there_is_no_room(
    kafka: Broker, topic: str, reader: Reader, buffer: RecordingBuffer
) -> None:
    buffer.room = False
    write(kafka.address, topic, values(10))
    assign(reader, {(topic, 0): 0}, 1)
    wait_until(lambda: reader._held)
    time.sleep(0.3)
    assert buffer.batches == []
    buffer.room = True
    wait_until(lambda: buffer.end(1) == 10)


def test_an_inbox_without_room_does_not_keep_another_from_being_read(
    kafka: Broker,
    topic: str,
    reader: Reader,
    buffer: RecordingBuffer,
    other_topic: str,
    other_buffer: RecordingBuffer,
) -> None:
    buffer.room = False
    write(kafka.address, topic, values(10))
    assign(reader, {(topic, 0): 0, (other_topic, 0): 0}, 1)
    wait_until(lambda: reader._held)
    for end in (5, 10):
        write(kafka.address, other_topic, values(5))
        wait_until(partial(_has, other_buffer, end))
    assert buffer.batches == []


def _has(buffer: RecordingBuffer, end: int) -> bool:
    return buffer.end(1) == end


def test_nothing_is_lost_or_repeated_where_an_inbox_is_left_out_again_and_again(
    kafka: Broker,
    topic: str,
    reader: Reader,
    buffer: RecordingBuffer,
    other_topic: str,
    other_buffer: RecordingBuffer,
) -> None:
    """librdkafka throws away what it has fetched ahead, and reads on from where we say."""
    for name in (topic, other_topic):
        write(kafka.address, name, values(20_000))
    assign(reader, {(topic, 0): 0, (other_topic, 0): 0}, 1)
    left_out = 0
    while buffer.end(1) < 20_000:
        known = buffer.end(1)
        buffer.room = False
        wait_until(lambda: topic in reader._held)
        left_out += 1
        buffer.room = True
        wait_until(partial(_goes_on, buffer, known))
    wait_until(lambda: other_buffer.end(1) == 20_000)
    assert left_out > 3
    for each in (buffer, other_buffer):
        assert contiguous(each.of(1), 0)
        assert each.offsets(1) == list(range(20_000))


def _goes_on(buffer: RecordingBuffer, known: int) -> bool:
    return buffer.end(1) == 20_000 or buffer.end(1) > known


def test_an_inbox_that_was_left_out_is_read_by_the_next_assignment_from_its_position(
    kafka: Broker, topic: str, reader: Reader, buffer: RecordingBuffer
) -> None:
    write(kafka.address, topic, values(10))
    buffer.room = False
    assign(reader, {(topic, 0): 0}, 1)
    wait_until(lambda: reader._held)
    buffer.room = True
    assign(reader, {(topic, 0): 4}, 2)
    wait_until(lambda: buffer.end(2) == 10)
    assert buffer.offsets(2) == list(range(4, 10))


def test_the_records_not_fetched_are_told_per_inbox_also_while_it_is_left_out(
    kafka: Broker,
    topic: str,
    reader: Reader,
    buffer: RecordingBuffer,
    other_topic: str,
    other_buffer: RecordingBuffer,
) -> None:
    write(kafka.address, topic, values(20_000))
    write(kafka.address, other_topic, values(10))
    assign(reader, {(topic, 0): 0, (other_topic, 0): 0}, 1)
    wait_until(lambda: buffer.batches and other_buffer.end(1) == 10)
    buffer.room = False
    wait_until(lambda: topic in reader._held)
    left = 20_000 - buffer.end(1)
    wait_until(lambda: reader.behind(topic) == left)
    assert reader.behind(other_topic) == 0
    buffer.room = True
    wait_until(lambda: reader.behind(topic) == 0)


# --- few bytes that unpack to very many


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_a_batch_that_unpacks_to_too_much_is_one_record_without_a_value(
    kafka: Broker, topic: str, reader: Reader, buffer: RecordingBuffer, codec: str
) -> None:
    """Of a fetch the client unpacks everything; so it reads on behind the last such batch, in this partition only."""
    write(kafka.address, topic, values(3))
    options = {"compression.codec": codec, "message.max.bytes": 2 * MOST_UNPACKED, "log_level": 0}
    producer = Producer({"bootstrap.servers": kafka.address, **options})
    producer.produce(topic, b"1" * (MOST_UNPACKED + 1), b"k", partition=0)
    assert producer.flush(30) == 0
    write(kafka.address, topic, values(2))
    for value in values(4):
        producer.produce(topic, value, partition=1)
    assert producer.flush(30) == 0
    assign(reader, {(topic, 0): 1, (topic, 1): 0}, 1)
    wait_until(lambda: buffer.end(1) == 6 and buffer.end(1, 1) == 4)
    assert buffer.offsets(1) == [1, 2, 3, 4, 5] and contiguous(buffer.of(1), 1)
    records = {int(each.offset): each for batch in buffer.of(1) for each in batch.messages}
    assert (records[2].value, records[3].value, records[5].value) == (b"2", None, b"1")
    with pytest.raises(Rejected, match=f"offset 3 to 3 are .* that unpack to more than {MOST_UNPACKED}"):
        require_fit(records[3].headers)
    write(kafka.address, topic, values(1))
    wait_until(lambda: buffer.end(1) == 7)
    # A later assignment knows it too, though it has looked at these batches before.
    assign(reader, {(topic, 0): 3}, 2)
    wait_until(lambda: buffer.end(2) == 7)
    assert buffer.offsets(2) == [3, 4, 5, 6]


def test_dense_records_of_a_transaction_that_was_aborted_are_left_out(
    kafka: Broker, topic: str, reader: Reader, buffer: RecordingBuffer
) -> None:
    options = {"compression.codec": "zstd", "message.max.bytes": 2 * MOST_UNPACKED, "log_level": 0}
    producer = Producer({"bootstrap.servers": kafka.address, "transactional.id": unique("t"), **options})
    producer.init_transactions(20)
    for end in (producer.abort_transaction, producer.commit_transaction):
        producer.begin_transaction()
        producer.produce(topic, b"1" * (MOST_UNPACKED + 1), partition=0)
        producer.flush(30)
        end(20)
    write(kafka.address, topic, values(1))
    assign(reader, {(topic, 0): 0}, 1)
    wait_until(lambda: buffer.end(1) == 5)
    assert buffer.offsets(1) == [2, 4] and contiguous(buffer.of(1), 0)


def send_by_hand(kafka: Broker, topic: str, data: bytes) -> None:
    """Sends a batch to partition 0 as it is; the client checks nothing."""

    async def send() -> None:
        client = AIOKafkaClient(bootstrap_servers=kafka.address)
        client.set_topics([topic])
        await client.bootstrap()
        await client.force_metadata_update()
        leader = client.cluster.leader_for_partition(AioPartition(topic, 0))
        request = ProduceRequest(
            transactional_id=None, required_acks=-1, timeout=10_000, topics=[(topic, [(0, data)])]
        )
        answer = await client.send(leader, request)
        await client.close()
        assert answer.topics[0][1][0][1] == 0, answer

    asyncio.run(send())


#: A broker looks neither at the offsets nor at the lengths in an uncompressed batch.
LIES: dict[str, tuple[list[bytes], list[bytes | None]]] = {
    "behind the end": ([record(1_000_000, b"far")], [None]),
    "behind the end, then before": ([record(9, b"far"), record(0, b"a"), record(-1, b"x")], [b"a", None]),
    "before its batch": ([record(-2, b"x"), record(1, b"b")], [None, b"b"]),
    "twice the same": ([record(0, b"a"), record(0, b"x")], [b"a", None]),
    "the wrong way round": ([record(1, b"b"), record(0, b"x")], [None, b"b"]),
    "a length that no parser takes": (
        [record(0, b"a"), varint(6) + b"\0" + varint(0) + varint(1) + varint(-1) + varint(-7) + varint(0)],
        [b"a", None],
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_batch_whose_records_lie_is_read_by_what_fits_and_the_reader_goes_on(
    kafka: Broker,
    topic: str,
    reader: Reader,
    buffer: RecordingBuffer,
    lie: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """librdkafka hands on such offsets, so a worker would skip what comes next; at such a length it stops."""
    monkeypatch.setattr(module, "STUCK", 0.5)
    payload, expected = LIES[lie]
    write(kafka.address, topic, values(2))
    assign(reader, {(topic, 0): 0}, 1)
    wait_until(lambda: buffer.end(1) == 2)
    send_by_hand(kafka, topic, batch(b"".join(payload), len(payload)))
    write(kafka.address, topic, values(2))
    end = 4 + len(payload)
    wait_until(lambda: buffer.end(1) == end)
    write(kafka.address, topic, values(1))
    wait_until(lambda: buffer.end(1) == end + 1)
    read = [each.value for one in buffer.of(1) for each in one.messages]
    assert read == [b"0", b"1", *expected, b"0", b"1", b"0"] and contiguous(buffer.of(1), 0)
    config = {"bootstrap.servers": kafka.address, "log_level": 0}
    monkeypatch.setattr(chunked, "STUCK", 0.5)
    monkeypatch.setattr(chunked, "is_written_by_people", lambda name: True)
    assert [each.value() for some in chunked.chunks(config, topic, 0, 0, end + 1) for each in some] == read
    monkeypatch.setattr(source, "STUCK", 0.5)
    monkeypatch.setattr(source, "is_written_by_people", lambda name: True)
    copy = source.SourceConsumer(Settings(broker=kafka.address), {(topic, 0): 0})
    copied: list[bytes | None] = []

    def has_all() -> bool:
        copied.extend(each.value() for each in copy.fetch().messages)
        return len(copied) >= len(read)

    wait_until(has_all)
    copy.close()
    assert copied == read


def test_headers_beyond_a_number_are_one_that_says_so(
    kafka: Broker, topic: str, reader: Reader, buffer: RecordingBuffer
) -> None:
    write(kafka.address, topic, [b"v"], headers=[("", b"")] * (MOST_HEADERS + 1))
    assign(reader, {(topic, 0): 0}, 1)
    wait_until(lambda: buffer.end(1) == 1)
    (record,) = buffer.of(1)[0].messages
    with pytest.raises(Rejected, match=f"{MOST_HEADERS + 1} headers; a record has at most {MOST_HEADERS}"):
        require_fit(record.headers)


# --- a consumer that has lost its brokers


def test_a_reader_that_no_broker_answers_connects_anew_and_goes_on_from_where_it_was(
    kafka: Broker, topic: str, buffer: RecordingBuffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """librdkafka#5301: it forgets every broker, for good, and tells nobody. This one never knew any."""
    brokers = iter([NO_BROKER])
    made: list[str] = []

    def consumer(config: dict[str, Any]) -> Consumer:
        made.append(next(brokers, kafka.address))
        return Consumer({**config, "bootstrap.servers": made[-1]})

    monkeypatch.setattr(module, "Consumer", consumer)
    monkeypatch.setattr(liveness, "SILENT", 0.5)
    monkeypatch.setattr(liveness, "ANSWER", 0.5)
    write(kafka.address, topic, values(10))
    config = {"bootstrap.servers": kafka.address, "log_level": 0}
    reader = Reader(
        config, [topic], lambda fetched: buffer.batches.extend(fetched[topic]), lambda name: buffer.room
    )
    reader.start()
    assign(reader, {(topic, 0): 4}, 1)
    wait_until(lambda: buffer.end(1) == 10)
    assert buffer.offsets(1) == [4, 5, 6, 7, 8, 9]
    # Silence alone is no reason.
    heard = reader._liveness._heard
    wait_until(lambda: reader._liveness._heard > heard)
    write(kafka.address, topic, values(1))
    wait_until(lambda: buffer.end(1) == 11)
    reader.close()
    assert made == [NO_BROKER, kafka.address]


# --- records that are gone before they were decided


def test_records_that_were_deleted_before_they_were_decided_end_the_process(
    kafka: Broker, topic: str, buffer: RecordingBuffer
) -> None:
    config = {"bootstrap.servers": kafka.address, "log_level": 0}
    reader = Reader(config, [topic], lambda fetched: buffer.batches.extend(fetched[topic]), lambda name: True)
    write(kafka.address, topic, values(10))
    admin = AdminClient({"bootstrap.servers": kafka.address, "log_level": 0})
    for future in admin.delete_records([TopicPartition(topic, 0, 6)]).values():
        future.result(20)
    assign(reader, {(topic, 0): 3}, 1)
    with pytest.raises(Fatal, match="must be read from offset 3 on, but it begins at 6") as ended:
        reader._run()
    assert ended.value.exit is Exit.RECORDS_CUT
    assert buffer.batches == []


@in_a_loop
async def test_stock_faust_goes_on_where_records_were_deleted_before_they_were_done(tmp_path: Path) -> None:
    assert stock_app(tmp_path).conf.consumer_auto_offset_reset == "earliest", (
        "the first that is left, silently"
    )
