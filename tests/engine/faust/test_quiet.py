"""While a broker is away, the log stays readable."""

import logging
from pathlib import Path

import pytest

from saga_app.engine.faust.quiet import PAUSE, OneOfAKind
from saga_app.engine.faust.worker import SagaWorker
from tests.engine.faust.parts import our_app

UNABLE = "Unable connect to node with id %s: %s"


class FilteredLog:
    """The lines that pass the filter, on a clock of its own."""

    def __init__(self) -> None:
        self.now = 100.0
        self.lines: list[str] = []
        self._filter = OneOfAKind(lambda: self.now)

    def log(self, words: str, *filled_in: object, level: int = logging.ERROR) -> None:
        record = logging.LogRecord("aiokafka", level, "", 0, words, filled_in, None)
        if self._filter.filter(record):
            self.lines.append(record.getMessage())


def test_of_many_lines_of_a_kind_the_first_is_logged_and_the_next_tells_how_many_were_left_out() -> None:
    logged = FilteredLog()
    for node in (1, 2, 1):
        logged.log(UNABLE, node, "refused")
    assert logged.lines == ["Unable connect to node with id 1: refused"]
    logged.now += PAUSE
    logged.log(UNABLE, 2, "refused")
    assert logged.lines[1:] == ["Unable connect to node with id 2: refused (and 2 more of this kind)"]
    logged.now += PAUSE
    logged.log(UNABLE, 2, "refused")
    assert logged.lines[2:] == ["Unable connect to node with id 2: refused"]


def test_lines_of_other_kinds_are_logged() -> None:
    logged = FilteredLog()
    logged.log(UNABLE, 1, "refused")
    logged.log("Heartbeat failed: %s", "100% lost")
    logged.log(UNABLE, 1, "refused", level=logging.WARNING)
    assert len(logged.lines) == 3


def test_a_line_below_a_warning_is_left_out_only_where_it_says_the_same() -> None:
    logged = FilteredLog()
    for generation in (1, 2, 2):
        logged.log("Joined group (generation %s)", generation, level=logging.INFO)
    assert logged.lines == ["Joined group (generation 1)", "Joined group (generation 2)"]


def test_a_worker_quietens_aiokafka_and_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("aiokafka", "aiokafka.consumer.group_coordinator", "saga_app.engine.engine")
    for name in names:
        monkeypatch.setattr(logging.getLogger(name), "filters", [])
    SagaWorker(our_app(tmp_path)).on_setup_root_logger(logging.root, logging.INFO)
    found = [[type(each) for each in logging.getLogger(name).filters] for name in names]
    assert found == [[OneOfAKind], [OneOfAKind], []]
