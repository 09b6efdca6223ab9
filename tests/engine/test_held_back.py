"""A worker says so when a transaction stays open in one of its inboxes: its lag is 0, and records wait."""

import logging

import pytest

from saga_app.engine.held_back import LASTING, HeldBackWatch
from saga_app.kafka.open_transactions import HeldBack

NOW = 1_700_000_000_000
PLACE = ("checkout_events", 3)


def test_a_transaction_that_lasts_is_told_until_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    watch = HeldBackWatch(dict, lambda: NOW)
    watch.see({PLACE: HeldBack(9, NOW - LASTING + 1)})
    assert watch.why == "", "somebody may be about to end it"
    watch.see({PLACE: HeldBack(9, NOW - 40_000)})
    watch.see({PLACE: HeldBack(12, NOW - 70_000)})
    assert watch.why == "checkout_events[3]: 12 behind an open transaction, for 70 s"
    watch.see({})
    assert watch.why == ""
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_where_the_time_is_not_known_nothing_is_claimed() -> None:
    watch = HeldBackWatch(dict, lambda: NOW)
    watch.see({PLACE: HeldBack(9, None)})
    assert watch.why == ""
