"""Each action of a person is a line in the operator log, and each inbox record that a person sends says who."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from saga_app import operator_log, topics, wire
from saga_app.audit.history.events import Event
from saga_app.core.numbers import Offset
from saga_app.core.records import Record
from saga_app.kafka.headers import ACTOR, actor_of
from saga_app.kafka.messages import Message, outgoing
from saga_app.kafka.sender import Sender
from saga_app.operator_log import actor, log_action
from saga_app.orderdb.copy import event_rows
from saga_app.orderdb.copy.batch import RowBatch
from saga_app.orderdb.present.timeline import timeline
from saga_app.orderdb.schema import order_events
from saga_app.settings import Settings, SettingsError
from tests.orderdb.batches import FakeMessage
from tests.support.examples import cancel, placed
from tests.web.asking import ask
from tests.web.shop import FilledShop, served

BY_ADA = ((ACTOR, b"an older sender"), ("other", b"1"))


def test_the_actor_is_the_user_of_this_machine_or_the_one_that_is_set(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(operator_log, "_user", lambda: "grace")
    monkeypatch.setattr("socket.gethostname", lambda: "laptop")
    assert actor(Settings()) == "grace@laptop"
    assert actor(Settings.read({"SAGA_ACTOR": "ada"})) == "ada"


@pytest.mark.parametrize("name", ["a\nb", "gr\u00fcn", "x" * 101, "\x1b[2J"])
def test_an_actor_that_would_break_a_line_is_refused(name: str):
    with pytest.raises(SettingsError, match="SAGA_ACTOR"):
        Settings.read({"SAGA_ACTOR": name})


def test_an_action_is_one_line_in_the_log_and_in_the_file(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "saga.operator")
    settings = Settings(actor="ada", operator_log=str(tmp_path / "operators.log"))
    log_action(settings, "topics", options=["create"])
    log_action(settings, "rebuild", note="two\nlines")
    lines = (tmp_path / "operators.log").read_text().splitlines()
    assert [record.getMessage() for record in caplog.records] == lines
    first, second = map(json.loads, lines)
    assert (first["actor"], first["action"], first["options"]) == ("ada", "topics", ["create"])
    assert second["note"] == "two\nlines" and first["time"].endswith("Z")
    assert (tmp_path / "operators.log").stat().st_mode & 0o777 == 0o600


def test_a_log_that_cannot_be_written_is_told(tmp_path: Path):
    with pytest.raises(SettingsError, match="SAGA_OPERATOR_LOG"):
        log_action(Settings(operator_log=str(tmp_path / "none" / "file")), "topics")


class TakenRecords(list[dict[str, Any]]):
    """Stands for the producer: the broker takes every record."""

    def produce(self, topic: str, value: Any, key: Any, partition: int, delivered: Any, headers: Any) -> None:
        self.append({"topic": topic, "headers": headers})
        message = type(
            "Delivered", (), {"topic": lambda _: topic, "partition": lambda _: 1, "offset": lambda _: 7}
        )
        delivered(None, message())

    def poll(self, seconds: float) -> int:
        return 0

    flush = poll


def test_every_record_that_is_sent_says_who_sent_it_and_the_log_says_where_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO, "saga.operator")
    sender, taken = Sender(Settings(actor="ada")), TakenRecords()
    monkeypatch.setattr(sender, "require_topic", lambda topic: None)
    monkeypatch.setattr(sender, "_connected", lambda: taken)
    sender.post([outgoing(cancel("o1"))._replace(headers=BY_ADA), outgoing(cancel("o2"))])
    assert taken[0]["headers"] == [("other", b"1"), (ACTOR, b"ada")]
    assert taken[1]["headers"] == [(ACTOR, b"ada")]
    (line,) = [json.loads(record.getMessage()) for record in caplog.records]
    assert (line["actor"], line["action"], line["records"], line["taken"]) == ("ada", "send", 2, 2)
    assert line["first"] == [["checkout_events", 1, 7]]


@pytest.mark.parametrize(
    ("action", "path", "body"),
    [
        ("cancel", "/orders/waiting/cancel", "note=please"),
        ("nudge", "/orders/waiting/nudge", ""),
        ("replay", "/dead-letters/checkout_events:3:0/replay", ""),
    ],
)
def test_what_a_page_sends_says_from_which_address_it_was_ordered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str, path: str, body: str
):
    shop = FilledShop(f"sqlite:///{tmp_path}/orders.db")
    shop.fill()
    asked: list[Settings] = []
    monkeypatch.setattr(f"saga_app.web.actions.{action}", lambda settings, *_, **__: asked.append(settings))
    monkeypatch.setattr("saga_app.web.pages.require_broker", lambda settings: None)
    with served(shop.settings) as server:
        answer = ask(server.url, path, body)
        assert answer.status == 303, answer.text
    shop.close()
    assert [each.actor for each in asked] == ["pages 127.0.0.1"]


def test_the_timeline_of_an_order_says_who_placed_and_who_cancelled_it():
    batch = RowBatch()
    sent: list[tuple[Record, bytes]] = [(placed("o1"), b"shop"), (cancel("o1"), b"ada"), (cancel("o1"), b"")]
    for offset, (record, name) in enumerate(sent):
        headers = [(ACTOR, name)] if name else []
        event_rows.event(batch, FakeMessage(topics.CHECKOUT, offset, wire.encode(record), headers=headers))
    rows = [{"note": None, **fields} for fields in batch.tables[order_events].values()]
    told = [each.what for each in timeline(rows, [])]
    assert told[0] == "placed (sent by shop)"
    assert told[1].endswith("(sent by ada)") and "sent by" not in told[2]


def test_the_history_of_an_order_says_who_sent_a_record():
    message = Message(Offset(0), 1, b"o1", wire.encode(cancel("o1")), ((ACTOR, b"ada"),))
    event = Event((topics.CHECKOUT, 0), message, cancel("o1"), None, "o1")
    assert (event.actor, event.as_json()["actor"]) == ("ada", "ada")


@pytest.mark.parametrize("value", [None, b"", b"\xff" * 200, b"\0\x1b[2J" * 50])
def test_an_actor_that_is_no_text_stops_nobody(value: bytes | None):
    found = actor_of(((ACTOR, value),))
    assert found is None or (len(found) == 100 and found.isprintable())
