"""The README's commands do what the README says: they are taken from it and run."""

import re
from collections.abc import Iterator

import pytest

from saga_app.local.process import until
from tests.support.blocks import blocks
from tests.support.running_system import RunningSystem

pytestmark = pytest.mark.slow("the tutorial as people walk it, with 3,000 orders")


RUN, TEST, FAUST, SAGA, ASK = blocks("README.md")
KILLED = "was killed by SIGKILL; started again as pid"
BEGIN, PLACE, WATCH, ROWS, FAR, UNDO, SAME, KILL, PROVE = blocks("docs/tutorial.md")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    started = RunningSystem(tmp_path_factory.mktemp("run"))
    try:
        yield started
    finally:
        started.stop()


def test_the_first_block_is_what_runs():
    assert RUN.split() == ["scripts/run"]


def test_scripts_run_places_real_orders_and_says_how_they_ended(running: RunningSystem):
    running.wait_for("running until Ctrl-C")
    for outcome in ("completed", "payment refused", "out of stock", "undeliverable"):
        assert outcome in running.said()
    assert re.search(r"^I9 durable first +holds", running.said(), re.MULTILINE)
    assert re.search(
        r"^orders 60 completed 51 cancelled 9 open 0 dead-lettered 0$", running.said(), re.MULTILINE
    )


def test_the_second_test_block_is_this_test():
    assert TEST.split() == ["scripts/test"]


def test_plain_faust_places_orders_and_shows_their_rows(running: RunningSystem):
    running.wait_for("running until Ctrl-C")
    send, show = FAUST.split("curl", 1)
    running.shell(send)
    assert until(lambda: running.row("orders", "2").get("status") == "CANCELLED", 30)
    assert until(lambda: running.row("orders", "1").get("status") == "COMPLETED", 30)
    assert running.row("payments", "2")["reason"] == "over_limit"
    assert '"COMPLETED"' in running.shell("curl" + show)


def test_the_saga_commands_send_what_they_say(running: RunningSystem):
    running.wait_for("running until Ctrl-C")
    running.shell(SAGA.replace("saga doctor", "saga doctor || true"))
    assert until(lambda: running.row("orders", "3").get("status") in ("CANCELLED", "COMPLETED"), 30)
    assert running.row("accounts", "ada:GBP")["deposited"] == "250.00"
    assert running.row("stock", "main:MUG")["received"] == 100
    told = running.shell(ASK)
    assert "placed: 25.00 GBP, 1 line" in told and "letters that would be sent again: 0" in told
    assert "audit: everything holds" in told


def test_the_tutorial_completes_an_order_and_undoes_another_in_order(running: RunningSystem):
    running.wait_for("running until Ctrl-C")
    assert BEGIN == RUN
    running.shell(PLACE)
    assert until(lambda: "shipment booked" in running.shell(WATCH), 30)
    assert '"75.00"' in running.shell(ROWS)
    running.shell(FAR)
    assert until(lambda: "cancelled" in running.shell(UNDO), 30)
    told = running.shell(UNDO)
    words = (
        "paid",
        "reserved",
        "shipping refused: the country is not served",
        "released",
        "refunded",
        "cancelled",
    )
    places = [told.index(each) for each in words]
    assert places == sorted(places)
    assert '"75.00"' in running.shell(SAME)


def test_the_tutorial_kills_a_worker_in_the_middle_and_every_order_ends(running: RunningSystem):
    running.wait_for("running until Ctrl-C")
    before = running.said().count(KILLED)
    running.shell(KILL)
    running.wait_for(KILLED, before + 1)

    def ended() -> int:
        return len(
            set(re.findall(r"^  (cup-\d+) +(?:completed|undeliverable)$", running.said(), re.MULTILINE))
        )

    killed_at = ended()
    assert until(lambda: ended() == 3_000, 180), ended()
    assert killed_at < 3_000
    assert "audit: everything holds" in running.shell(PROVE)


def test_a_killed_worker_is_started_again_and_orders_go_on(running: RunningSystem):
    running.wait_for("running until Ctrl-C")
    before = running.said().count(KILLED)
    running.shell(f"kill -9 $(cat {running.folder}/worker-1.pid)")
    running.wait_for(KILLED, before + 1)
    running.shell("""faust -A saga_app send checkout_events '{"order_id": 4, "amount": 5}'""")

    def is_completed() -> bool:
        try:
            return running.row("orders", "4").get("status") == "COMPLETED"
        except AssertionError:
            # Its web server is not up yet, and curl fails.
            return False

    assert until(is_completed, 90)
