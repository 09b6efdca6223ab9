"""The reader: from a known position, whole batches without gaps, and nothing of an earlier assignment.

Answers faust#216, faust#221, faust#229 (records fetched before a rebalance are delivered after it) and faust#596
(offsets without a record, `docs/reference/faust.md#a14`); what stock Faust does with both is in `test_delivery` and
`test_commits`.
"""

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from saga_app.engine import reader as module
from saga_app.engine.exits import Exit, Fatal
from saga_app.engine.reader import Reader
from saga_app.kafka import liveness
from saga_app.kafka.headers import COST, HEADERS_DROPPED
from saga_app.local.broker import Broker
from tests.engine.faust.parts import NO_BROKER, in_a_loop, stock_app, unique, wait_until, write
from tests.engine.recording import RecordingBuffer, assign, contiguous, values

pytestmark = pytest.mark.live


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


def test_the_end_of_a_transaction_is_told_from_a_record_that_lies(
    kafka: Broker, topic: str, reader: Reader, buffer: RecordingBuffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shop may write each order in a transaction of its own: its partition must not change hands for each."""
    taken: list[object] = []
    monkeypatch.setattr(reader, "_take_care", lambda *place: taken.append(place))
    transactions(kafka, topic)
    assign(reader, {(topic, 0): 0}, 1)
    wait_until(lambda: buffer.offsets(1) == [0, 1, 2, 8])
    assert contiguous(buffer.of(1), 0) and not taken


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
