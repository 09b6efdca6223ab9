"""Reading a changelog: exactly from one offset up to another, whatever is missing in between.

Answers faust#176, faust#373, faust#597 and faust#651 (recovery that waits for ever for rows that are gone); what stock
Faust does is in `test_recovery`.
"""

from dataclasses import dataclass
from typing import Any

import pytest
from confluent_kafka import KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from saga_app.core.errors import ForeignRow
from saga_app.core.numbers import Offset
from saga_app.core.rows import decode
from saga_app.engine.stores.changelog import KafkaChangelog, leave_out, readable, refuse
from saga_app.kafka import chunks, offsets
from saga_app.local.broker import Broker
from tests.engine.faust.parts import make_topics, unique, write


@pytest.fixture
def topic(kafka: Broker) -> str:
    name = unique("changelog")
    make_topics(kafka.address, name, config={"cleanup.policy": "compact,delete"})
    return name


@pytest.fixture
def admin(kafka: Broker) -> AdminClient:
    return AdminClient({"bootstrap.servers": kafka.address, "log_level": 0})


def rows(kafka: Broker, topic: str, count: int) -> None:
    write(
        kafka.address,
        topic,
        [b'{"version":%d,"row":1}' % at for at in range(count)],
        keys=[b"k%d" % at for at in range(count)],
    )


def cut(admin: AdminClient, topic: str, before: int) -> None:
    """Deletes everything before an offset."""
    for future in admin.delete_records([TopicPartition(topic, 0, before)]).values():
        future.result(20)


def read(kafka: Broker, topic: str, start: int, end: int) -> list[int]:
    """The offsets that are read."""
    changelog = KafkaChangelog({"bootstrap.servers": kafka.address, "log_level": 0}, topic, 0, Offset(end))
    found = [row for chunk in changelog.read(Offset(start), changelog.end()) for row in chunk]
    assert all(
        row.value == b'{"version":%s,"row":1}' % row.key[1:] for row in found if row.key.startswith(b"k")
    )
    return [row.offset for row in found]


@pytest.mark.live
@pytest.mark.parametrize(("start", "end"), [(0, 10), (3, 7), (9, 10), (0, 1)])
def test_exactly_what_was_asked_for_is_read(kafka: Broker, topic: str, start: int, end: int) -> None:
    rows(kafka, topic, 10)
    assert read(kafka, topic, start, end) == list(range(start, end))


@pytest.mark.live
def test_nothing_is_read_where_nothing_is_missing(kafka: Broker, topic: str) -> None:
    assert read(kafka, topic, 0, 0) == read(kafka, topic, 5, 5) == read(kafka, topic, 7, 5) == []


@pytest.mark.live
def test_many_rows_are_read_in_their_order(kafka: Broker, topic: str) -> None:
    rows(kafka, topic, 12_000)
    assert read(kafka, topic, 100, 11_900) == list(range(100, 11_900))


@pytest.mark.live
def test_the_rest_is_read_where_the_beginning_was_deleted(
    kafka: Broker, topic: str, admin: AdminClient
) -> None:
    rows(kafka, topic, 10)
    cut(admin, topic, 6)
    assert read(kafka, topic, 0, 10) == [6, 7, 8, 9]
    assert read(kafka, topic, 8, 10) == [8, 9]


@pytest.mark.live
def test_reading_ends_where_everything_was_deleted(kafka: Broker, topic: str, admin: AdminClient) -> None:
    rows(kafka, topic, 10)
    cut(admin, topic, 10)
    assert read(kafka, topic, 0, 10) == []


@pytest.mark.live
def test_reading_ends_where_everything_up_to_the_end_was_deleted(
    kafka: Broker, topic: str, admin: AdminClient
) -> None:
    rows(kafka, topic, 10)
    cut(admin, topic, 8)
    assert read(kafka, topic, 0, 5) == []


@pytest.mark.live
def test_reading_ends_where_the_last_offset_holds_no_record(kafka: Broker, topic: str) -> None:
    producer = Producer({"bootstrap.servers": kafka.address, "transactional.id": unique("t"), "log_level": 0})
    producer.init_transactions(20)
    for _ in range(2):
        producer.begin_transaction()
        producer.produce(topic, b'{"version":1,"row":1}', b"k1", partition=0)
        producer.commit_transaction(20)
    assert read(kafka, topic, 0, 4) == [0, 2]


@pytest.mark.live
def test_ends_and_beginnings_are_those_of_the_log(kafka: Broker, topic: str, admin: AdminClient) -> None:
    rows(kafka, topic, 10)
    cut(admin, topic, 6)
    assert offsets.ends(admin, [(topic, 0)]) == {(topic, 0): 10}
    assert offsets.beginnings(admin, [(topic, 0)]) == {(topic, 0): 6}
    assert offsets.ends(admin, []) == {}


@pytest.mark.live
def test_a_topic_that_was_made_just_now_can_be_asked_about(kafka: Broker, admin: AdminClient) -> None:
    for _ in range(5):
        name = unique("new")
        make_topics(kafka.address, name)
        assert offsets.ends(admin, [(name, 0)]) == {(name, 0): 0}
        assert offsets.topic_ids(admin, [name])[name]


@pytest.mark.live
def test_a_client_that_asks_its_first_question_gets_its_answer(kafka: Broker, topic: str) -> None:
    rows(kafka, topic, 10)
    for _ in range(50):
        new = AdminClient({"bootstrap.servers": kafka.address, "socket.timeout.ms": 3_000, "log_level": 0})
        assert offsets.readable_ends(new, [(topic, 0)], seconds=3) == {(topic, 0): 10}


# --- what a broker says while its leader moves


class OffsetAnswer:
    """A message of a fake consumer: a row, or the news that the end of the partition is reached."""

    def __init__(self, offset: int, error: int | None = None) -> None:
        self._offset = offset
        self._error = None if error is None else KafkaError(error)

    def offset(self) -> int:
        return self._offset

    def error(self) -> KafkaError | None:
        return self._error

    def key(self) -> bytes:
        return b"k"

    def value(self) -> bytes:
        return b"v"


class Fetching:
    """A fake consumer."""

    def __init__(self, *answers: list[OffsetAnswer]) -> None:
        self._answers = list(answers)

    def consume(self, most: int, seconds: float) -> list[OffsetAnswer]:
        return self._answers.pop(0) if self._answers else []


def offsets_of(consumer: Fetching, end: int) -> list[list[int]]:
    return [[each.offset() for each in chunk] for chunk in chunks._chunks(consumer, "t[0]", end)]


EOF = KafkaError._PARTITION_EOF


def test_an_end_before_the_end_that_was_asked_for_is_not_the_end() -> None:
    """A new leader may know a lower high watermark for a moment; to end there would be to lose rows."""
    early = Fetching(
        [OffsetAnswer(0), OffsetAnswer(1, EOF)], [], [OffsetAnswer(1), OffsetAnswer(2), OffsetAnswer(3, EOF)]
    )
    assert offsets_of(early, 3) == [[0], [1, 2]]


def test_a_row_behind_the_end_is_not_read() -> None:
    assert offsets_of(Fetching([OffsetAnswer(0), OffsetAnswer(1), OffsetAnswer(5), OffsetAnswer(6)]), 3) == [
        [0, 1]
    ]


def test_an_error_that_passes_does_not_end_reading() -> None:
    passing = Fetching([OffsetAnswer(-1, KafkaError._TRANSPORT)], [OffsetAnswer(0), OffsetAnswer(1, EOF)])
    assert offsets_of(passing, 1) == [[0]]


def test_reading_gives_up_where_no_row_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "TIMEOUT", 1.0)
    with pytest.raises(TimeoutError, match="is the broker up"):
        offsets_of(Fetching(), 3)


@dataclass
class Record:
    """A record of a changelog, as confluent-kafka gives it."""

    sent_key: bytes | None
    sent_value: bytes | None
    sent_headers: list[tuple[str, bytes | None]] | None = None

    def offset(self) -> int:
        return 17

    def key(self) -> bytes | None:
        return self.sent_key

    def value(self) -> bytes | None:
        return self.sent_value

    def headers(self) -> list[tuple[str, bytes | None]] | None:
        return self.sent_headers


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (Record(b"o1", b"garbage"), "a row starts with"),
        (Record(b"o1", b'{"version":4,"status":"OP'), "does not end as a row"),
        (Record(b"o1", b'{"version":four,"x":1}'), "invalid literal"),
        (Record(b"o1", b'{"version":100,"x":1}'), "its version is 100, which is far beyond the end"),
        (Record(b"\xff", b'{"version":4,"x":1}'), "its key"),
        (Record(None, b'{"version":4,"x":1}'), "its key"),
        (Record(b"o1", None, [("saga-version", b"\xff")]), ""),
    ],
)
def test_a_worker_names_the_record_of_a_changelog_that_is_no_row(record: Any, why: str) -> None:
    with pytest.raises(ForeignRow, match=rf"orders:3:17 holds no row of ours: .*{why}"):
        list(readable(("orders", 3), [record], refuse, 100))
    assert list(readable(("orders", 3), [record], leave_out, 100)) == []


def test_a_row_that_only_its_table_can_tell_from_others_is_named_when_it_is_read() -> None:
    assert list(readable(("orders", 3), [Record(b"o1", b'{"version":4,"x":1}')], refuse)) != []
    with pytest.raises(ForeignRow, match="orders o1: no row of ours"):
        decode("orders", "o1", b'{"version":4,"x":1}')
