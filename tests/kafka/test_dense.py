"""Which records of a fetch are in order, and where offsets are missing."""

from types import SimpleNamespace
from typing import Any

from confluent_kafka import KafkaError

from saga_app.kafka.dense import before, in_order


def record(offset: int) -> Any:
    return SimpleNamespace(offset=lambda: offset, error=lambda: None)


def error(offset: int | None, code: int = KafkaError._AUTO_OFFSET_RESET) -> Any:
    return SimpleNamespace(offset=lambda: offset, error=lambda: KafkaError(code))


def offsets(messages: list[Any]) -> list[int | None]:
    return [each.offset() for each in messages]


def test_records_below_the_last_one_are_left_out_and_missing_offsets_are_named() -> None:
    found, gaps = in_order(map(record, [3, 5, 4, 6, 9]), 4)
    assert offsets(found) == [5, 6, 9]
    assert gaps == [range(4, 5), range(7, 9)]


def test_an_error_takes_no_offset() -> None:
    found, gaps = in_order([record(4), error(5, KafkaError._PARTITION_EOF), record(5)], 4)
    assert offsets(found) == [4, 5, 5] and gaps == []


def test_an_error_that_names_no_offset_is_kept_where_it_came() -> None:
    found, gaps = in_order([record(4), error(None), record(7)], 4)
    assert offsets(found) == [4, None, 7] and gaps == [range(5, 7)]
    assert offsets(before(found, gaps[0].start)) == [4, None]
