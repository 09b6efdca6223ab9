"""While no broker is reached, the log has one line at the begin, one each minute, and one at the end."""

import logging

import pytest

from saga_app.engine.faust.quiet import OneOfAKind
from saga_app.engine.outage import GRACE, REMINDER, TROUBLE, Outage


class OutageClock:
    """A worker without its brokers, and its clock: a client complains each second."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.heard = 1_000.0
        self.outage = Outage(lambda: self.now - self.heard, lambda: self.now)
        self.filter = OneOfAKind(lambda: self.now, self.outage.complain)
        self.passed: list[str] = []

    def run(self, seconds: float, *, heartbeats: bool = False, complaints: bool = True) -> None:
        for _ in range(round(seconds)):
            self.now += 1
            if heartbeats:
                self.heard = self.now
            if complaints:
                self.log("Error sending %s to node 1: refused", "HeartbeatRequest")
            self.outage.look()

    def log(self, text: str, *filled_in: str) -> None:
        record = logging.LogRecord("aiokafka", logging.ERROR, "", 0, text, filled_in, None)
        if self.filter.filter(record):
            self.passed.append(record.getMessage())


def test_two_minutes_without_a_broker_are_four_lines(caplog: pytest.LogCaptureFixture) -> None:
    worker = OutageClock()
    worker.run(10, heartbeats=True, complaints=False)
    worker.run(125 + GRACE)
    worker.run(5, heartbeats=True, complaints=False)
    assert [message.split(":")[0] for message in caplog.messages] == [
        "the Kafka broker is lost",
        f"the Kafka broker is still lost, for {REMINDER:.0f} s",
        f"the Kafka broker is still lost, for {2 * REMINDER:.0f} s",
        "the Kafka broker is back after 125 s",
    ]
    assert worker.passed == []


def test_a_broker_that_is_missed_while_heartbeats_are_answered_has_a_line_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One of three is away: the group goes on."""
    worker = OutageClock()
    worker.run(150, heartbeats=True)
    assert caplog.messages == []
    assert len(worker.passed) == 3


def test_a_rebalance_without_complaints_is_no_outage(caplog: pytest.LogCaptureFixture) -> None:
    worker = OutageClock()
    worker.run(TROUBLE * 3, complaints=False)
    assert caplog.messages == []


def test_other_lines_are_logged_during_an_outage() -> None:
    worker = OutageClock()
    worker.run(30)
    worker.log("Topic gone")
    assert worker.passed == ["Topic gone"]
