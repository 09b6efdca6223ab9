"""A request is repeated after an error that passes by itself; any other error is raised at once."""

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from saga_app.core.numbers import Offset
from saga_app.engine.exits import Exit, Fatal
from saga_app.engine.reader import Reader
from saga_app.kafka.retries import with_retries

RETRIABLE = (
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.KAFKA_STORAGE_ERROR,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
)
#: Its records are gone: deleted, or lost with a leader that had not all of them.
LOST = (
    KafkaError.OFFSET_OUT_OF_RANGE,
    KafkaError._AUTO_OFFSET_RESET,
    KafkaError._LOG_TRUNCATION,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
)


class FlakyRequest:
    """Answers with these errors first; counts how often metadata was asked for in between."""

    def __init__(self, *errors: int) -> None:
        self.errors = list(errors)
        self.refreshed = 0
        self.admin: Any = SimpleNamespace(list_topics=self._refresh)

    def __call__(self) -> str:
        if self.errors:
            raise KafkaException(KafkaError(self.errors.pop(0)))
        return "answer"

    def _refresh(self, timeout: float) -> None:
        self.refreshed += 1


@pytest.mark.parametrize("code", [*RETRIABLE, KafkaError.NOT_COORDINATOR, KafkaError.UNKNOWN_TOPIC_OR_PART])
def test_kafka_is_asked_again_with_new_metadata_while_a_leader_or_coordinator_moves(code: int) -> None:
    asked = FlakyRequest(code, code)
    assert with_retries(asked.admin, asked, 10) == "answer"
    assert asked.refreshed == 2


def test_patience_ends() -> None:
    asked = FlakyRequest(KafkaError._TRANSPORT, KafkaError._TRANSPORT)
    with pytest.raises(KafkaException):
        with_retries(asked.admin, asked, -1)


@pytest.mark.parametrize("code", [KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.OFFSET_OUT_OF_RANGE])
def test_what_does_not_pass_is_not_asked_again(code: int) -> None:
    asked = FlakyRequest(code)
    with pytest.raises(KafkaException):
        with_retries(asked.admin, asked, 10)
    assert asked.refreshed == 0


def check(code: int, offset: int | None = 5) -> None:
    reader = Reader.__new__(Reader)
    reader._next = {("payment_events", 0): Offset(5)}
    reader._dense = {}
    message: Any = SimpleNamespace(topic=lambda: "payment_events", partition=lambda: 0, offset=lambda: offset)
    # The topic begins at 0, so nothing was cut off: it lost its end.
    consumer: Any = SimpleNamespace(get_watermark_offsets=lambda place, timeout: (0, 3))
    reader._check(KafkaError(code), message, consumer)


@pytest.mark.parametrize("code", RETRIABLE)
def test_a_reader_waits_for_the_new_leader(code: int) -> None:
    check(code)


@pytest.mark.parametrize("code", LOST)
def test_a_reader_never_goes_on_where_records_are_gone(code: int) -> None:
    with pytest.raises(Fatal) as ended:
        check(code)
    expected = Exit.INBOX_CUT if code == KafkaError._AUTO_OFFSET_RESET else Exit.ROUND_FAILED
    assert ended.value.exit is expected


def test_a_reader_ends_at_a_truncated_inbox_also_if_the_error_names_no_offset() -> None:
    with pytest.raises(Fatal) as ended:
        check(KafkaError._AUTO_OFFSET_RESET, None)
    assert ended.value.exit is Exit.INBOX_CUT
