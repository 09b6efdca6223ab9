"""A worker that works goes on when its topics change, but it is not ready and says why."""

import asyncio
import logging
from collections.abc import Iterator

import pytest

from saga_app.engine import topic_watch as module
from saga_app.engine.topic_watch import TopicWatch
from saga_app.kafka.topic_admin import BrokerRefuses, BrokerUnreachable
from saga_app.kafka.topic_faults import FaultKind, TopicFault, TopicFaults

ADDED = {"payment_events": [TopicFault(FaultKind.PARTITIONS, "9 partitions, not 8")]}
LONGER = {"payment_events": [TopicFault(FaultKind.DIFFERENT, "retention.ms is -1, not 5")]}


def test_what_a_start_would_refuse_is_a_fault_until_it_is_mended(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    watch = TopicWatch(dict, dict)
    watch.see(LONGER)
    assert watch.fault == ""
    watch.see(ADDED)
    watch.see(ADDED)
    assert watch.fault.startswith("payment_events: 9 partitions, not 8; SAGA_PARTITIONS is for life")
    watch.see(LONGER)
    assert watch.fault == ""
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]


def test_a_broker_that_does_not_answer_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INTERVAL", 0.0)
    looks: Iterator[TopicFaults | BaseException] = iter(
        [ADDED, BrokerUnreachable("b"), asyncio.CancelledError()]
    )

    def compare() -> TopicFaults:
        look = next(looks)
        if isinstance(look, BaseException):
            raise look
        return look

    watch = TopicWatch(compare, dict)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(watch.run())
    assert watch.fault


def test_a_broker_that_refuses_us_is_told_with_the_setting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No other client may notice: an idle log has no connection, and a reader without partitions asks nothing."""
    monkeypatch.setattr(module, "COUNT", 0.0)
    answers: Iterator[BaseException] = iter(
        [BrokerRefuses("b:1", "wrong password; see SAGA_SASL_PASSWORD"), asyncio.CancelledError()]
    )

    def count() -> dict[str, int]:
        raise next(answers)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(TopicWatch(dict, count).run())
    (line,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert line.getMessage() == "the broker refuses us: wrong password; see SAGA_SASL_PASSWORD"


def test_the_settings_are_asked_for_at_once_when_a_topic_comes_goes_or_grows_and_else_seldom(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "COUNT", 0.0)
    counts: Iterator[dict[str, int] | BaseException] = iter(
        [{"a": 8}, {"a": 8}, {"a": 8}, {"a": 9}, {}, {}, asyncio.CancelledError()]
    )
    seen: list[object] = []

    def count() -> dict[str, int]:
        found = next(counts)
        if isinstance(found, BaseException):
            raise found
        seen.append(found)
        return found

    def compare() -> TopicFaults:
        seen.append("looked")
        return {}

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(TopicWatch(compare, count).run())
    assert seen == [{"a": 8}, "looked", {"a": 8}, {"a": 8}, {"a": 9}, "looked", {}, "looked", {}]
