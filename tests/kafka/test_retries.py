"""A request is repeated after an error that passes by itself; any other error is raised at once."""

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from saga_app.core.numbers import Offset
from saga_app.engine.exits import Exit, Fatal
from saga_app.engine.reader import Reader
from saga_app.kafka.retries import ANSWER, asked, with_retries

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
    """Answers with these errors first; counts how often its client connected, and notes the time of each try."""

    def __init__(self, *errors: int) -> None:
        self.errors = list(errors)
        self.connected = 0
        self.tries: list[float] = []
        self.admin: Any = SimpleNamespace(list_topics=self._connect)

    def __call__(self, seconds: float = 0) -> str:
        self.tries.append(seconds)
        assert self.connected in (0, len(self.tries))
        if self.errors:
            raise KafkaException(KafkaError(self.errors.pop(0)))
        return "answer"

    def _connect(self, timeout: float) -> None:
        self.connected += 1


@pytest.mark.parametrize("code", [*RETRIABLE, KafkaError.NOT_COORDINATOR, KafkaError.UNKNOWN_TOPIC_OR_PART])
def test_a_client_connects_anew_before_each_try_while_a_leader_or_coordinator_moves(code: int) -> None:
    request = FlakyRequest(code, code)
    assert asked(request.admin, request, 10) == "answer"
    assert request.connected == len(request.tries) == 3


def test_one_try_takes_a_part_of_the_time_only() -> None:
    """A new client of a broker that had been frozen waited its whole time, and the worker's restore failed."""
    request = FlakyRequest(KafkaError._TIMED_OUT)
    assert asked(request.admin, request, 3 * ANSWER) == "answer"
    assert request.tries == [ANSWER, ANSWER]


def test_patience_ends() -> None:
    request = FlakyRequest(KafkaError._TRANSPORT, KafkaError._TRANSPORT)
    with pytest.raises(KafkaException):
        with_retries(request, -1)


@pytest.mark.parametrize("code", [KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.OFFSET_OUT_OF_RANGE])
def test_what_does_not_pass_is_not_asked_again(code: int) -> None:
    request = FlakyRequest(code)
    with pytest.raises(KafkaException):
        with_retries(request, 10)
    assert len(request.tries) == 1


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
