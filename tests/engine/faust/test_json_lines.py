"""Logged lines for machines."""

import io
import json
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from saga_app.engine.faust.json_lines import JsonLines
from saga_app.engine.faust.worker import SagaWorker
from saga_app.settings import Settings, SettingsError


def lines(log: str, *records: tuple[int, str, Any]) -> list[str]:
    """The lines of a worker with `SAGA_LOG=log` when a logger below the root logs the records."""
    written = io.StringIO()
    root = logging.Logger("root")
    root.addHandler(logging.StreamHandler(written))
    worker = SagaWorker.__new__(SagaWorker)
    outage = SimpleNamespace(complain=lambda words: None)
    worker.app = SimpleNamespace(settings=Settings(log=log), engine=SimpleNamespace(outage=outage))
    worker.on_setup_root_logger(root, logging.INFO)
    for level, message, error in records:
        root.log(level, message, exc_info=error)
    return written.getvalue().splitlines()


def test_a_line_of_several_rows_is_one_object_on_one_line():
    (line,) = lines("json", (logging.INFO, "┌─┐\n│é│\n└─┘", None))
    found = json.loads(line)
    assert found.pop("time").endswith("Z")
    assert found == {"level": "INFO", "logger": "root", "message": "┌─┐\n│é│\n└─┘"}


def test_a_line_about_an_order_has_its_id_as_a_field():
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonLines())
    logger = logging.Logger("one")
    logger.addHandler(handler)
    logger.info("order o1: too late", extra={"order_id": "o1"})
    logger.info("nothing of one order", extra={"order_id": None})
    first, second = map(json.loads, written.getvalue().splitlines())
    assert first["order_id"] == "o1" and "order_id" not in second


def test_an_exception_stays_on_the_line_of_its_message():
    (line,) = lines("json", (logging.ERROR, "no", ValueError("why")))
    assert json.loads(line)["error"] == "ValueError: why"


def test_a_console_gets_plain_text():
    assert lines("console", (logging.INFO, "ready", None)) == ["ready"]


def test_another_format_is_refused():
    with pytest.raises(SettingsError, match="SAGA_LOG is 'xml'"):
        Settings.read({"SAGA_LOG": "xml"})
