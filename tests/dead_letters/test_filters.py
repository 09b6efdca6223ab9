"""Times as people write them, and letters that name an order."""

from datetime import UTC, datetime

import pytest

from saga_app.dead_letters.filters import LetterFilter, names
from saga_app.dead_letters.format import LetterId
from saga_app.dead_letters.letter import Letter
from saga_app.times import moment, written

NOW = int(datetime(2026, 1, 31, 12, 0, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "is_"),
    [
        ("30s", "2026-01-31T11:59:30.000Z"),
        ("90m", "2026-01-31T10:30:00.000Z"),
        ("12h", "2026-01-31T00:00:00.000Z"),
        ("7d", "2026-01-24T12:00:00.000Z"),
        ("2026-01-30", "2026-01-30T00:00:00.000Z"),
        ("2026-01-30T10:20:30.5", "2026-01-30T10:20:30.500Z"),
        ("2026-01-30T10:20:30.500Z", "2026-01-30T10:20:30.500Z"),
        ("2026-01-30T10:20+02:00", "2026-01-30T08:20:00.000Z"),
    ],
)
def test_a_time_is_a_moment_in_utc_or_so_long_ago(text: str, is_: str) -> None:
    assert written(moment(text, NOW)) == is_


@pytest.mark.parametrize("text", ["", "h", "1w", "-1h", "1.5h", "tomorrow", "2026-02-30", "٣h", "999999d"])
def test_everything_else_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        moment(text, NOW)


def test_a_time_that_no_calendar_has_is_written_as_its_number() -> None:
    assert written(10**18) == str(10**18)
    assert written(-1) == "1969-12-31T23:59:59.999Z"


def letter(value: bytes | None, key: bytes | None = None) -> Letter:
    return Letter(LetterId("checkout_events", 0, 1), "invalid", "", 0, 0, key, value, (), 0)


@pytest.mark.parametrize(
    ("value", "does"),
    [
        (b'{"order_id":"17","amount":5}', True),
        (b'{"order_id":17,"amount":5}', True),
        (b'{"order":{"lines":[{"sku":"17"}]}}', True),
        (b'{"order_id":"\\u0031\\u0037"}', True),
        (b'{"order_id":"18","amount":17}', False),
        (b'{"order_id":"18","lines":[{"sku":"a","quantity":17}]}', False),
        (b'{"order_id":"17', True),
        (b'{"order_id":"170', False),
        (b'\xff "17" \xff', True),
        (b"17", True),
        (None, False),
        (b'{"order_id":["17"]}', True),
    ],
)
def test_an_order_is_named_by_an_id_or_by_a_word_in_what_cannot_be_read(
    value: bytes | None, does: bool
) -> None:
    assert names(None, value, "17") is does


def test_an_order_may_be_named_by_the_key_alone() -> None:
    assert names(b"17", None, "17")
    assert not names(b"170", None, "17")


def test_the_end_of_a_time_is_not_in_it() -> None:
    at_5 = letter(b"x")._replace(time=5)
    assert LetterFilter(since=5).takes(at_5, {}) and not LetterFilter(until=5).takes(at_5, {})
    assert LetterFilter().is_everything and not LetterFilter(since=0).is_everything
