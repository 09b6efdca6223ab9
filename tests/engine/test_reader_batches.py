"""The reader: batches that unpack to very many, and batches that lie."""

import asyncio

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.structs import TopicPartition as AioPartition
from confluent_kafka import Producer

from saga_app.core.errors import Rejected
from saga_app.engine import reader as module
from saga_app.engine.reader import Reader
from saga_app.kafka import chunks as chunked
from saga_app.kafka import raw
from saga_app.kafka.headers import MOST_HEADERS, require_fit
from saga_app.kafka.packed import MOST_UNPACKED
from saga_app.kafka.raw import RawClient
from saga_app.local.broker import Broker
from saga_app.orderdb.copy import source
from saga_app.settings import Settings
from tests.engine.faust.parts import unique, wait_until, write
from tests.engine.recording import RecordingBuffer, assign, contiguous, values
from tests.kafka.batches_made import batch, record, varint

pytestmark = pytest.mark.live


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


def test_the_first_batches_come_without_a_pause(
    kafka: Broker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An audit asks for them in forty partitions, and each used to wait 0.2 s until the leader was known."""
    monkeypatch.setattr(raw, "_AGAIN", 60.0)
    write(kafka.address, topic, values(3))
    with RawClient(Settings(broker=kafka.address).kafka, [topic]) as client:
        assert sum(each.records for each in client.batches((topic, 0), 0)) == 3


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
