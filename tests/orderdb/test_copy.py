"""Topics that a worker has filled, copied into a real database of each kind."""

import asyncio
import json
import random
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from harness.copies import CopyProcess, contents, copied, copy, empty, rows
from harness.ledger import JOURNALS
from harness.log import until
from harness.scene import Scene
from saga_app.kafka.consumer_group import committed
from saga_app.orderdb import schema
from saga_app.orderdb.copy.source_topics import group_of
from saga_app.orderdb.queries.reading import ask, positions
from saga_app.settings import Settings
from tests.orderdb.filled import CARD, HOSTILE, NAME, ORDERS

STEPS = {"payment": "payments", "inventory": "reservations", "shipping": "shipments"}


@pytest.mark.promise("both databases")
def test_the_database_says_what_the_tables_say(filled: Settings, shop: Scene):
    copy(filled)
    ledger = shop.ledger()
    told = ledger.orders()
    orders = {row["order_id"]: row for row in rows(filled, schema.orders)}
    assert orders.keys() == told.keys() and len(orders) == ORDERS
    for order_id, row in told.items():
        copied, order = orders[order_id], row["order"]
        for name in ("version", "status", "tries", "since", "ended_at", "reason", "step"):
            assert copied[name] == row.get(name), (order_id, name)
        for name in ("customer_id", "warehouse", "country", "currency"):
            assert copied[name] == order.get(name), (order_id, name)
        assert str(copied["amount"]) == order["amount"]
        assert copied["lines"] == len(order["lines"])
    lines = Counter(row["order_id"] for row in rows(filled, schema.order_lines))
    assert lines == {order_id: row["order"] and len(row["order"]["lines"]) for order_id, row in told.items()}
    for service, table in STEPS.items():
        journal = {key: row for key, row in ledger.rows(table).items() if ":" not in key}
        steps = {
            row["order_id"]: row for row in rows(filled, schema.order_steps) if row["service"] == service
        }
        assert {key: (row["version"], row["state"], row["reason"]) for key, row in steps.items()} == {
            key: (row["version"], row["state"], row.get("reason")) for key, row in journal.items()
        }
    for row in rows(filled, schema.accounts):
        told_row = ledger.rows("accounts")[f"{row['customer_id']}:{row['currency']}"]
        assert (row["deposited"], row["balance"]) == (
            Decimal(told_row["deposited"]),
            Decimal(told_row["balance"]),
        )
    for row in rows(filled, schema.stock):
        told_row = ledger.rows("stock")[f"{row['warehouse']}:{row['sku']}"]
        assert (row["received"], row["available"]) == (told_row["received"], told_row["available"])


def test_the_copys_group_shows_how_far_it_has_read(filled: Settings):
    """For Kafka's own tools; by no request that can end the process (docs/reference/faust.md, k11)."""
    copy(filled)
    reached = asyncio.run(ask(filled, positions))
    assert committed(filled, group_of(filled), reached, 30) == reached


def test_every_record_about_an_order_is_an_event_and_every_other_is_not(filled: Settings, shop: Scene):
    copy(filled)
    ledger = shop.ledger()
    step_requests = Counter(step_request.type for step_request in ledger.step_requests().elements())
    events = rows(filled, schema.order_events)
    types = Counter(row["type"] for row in events)
    assert {name: types[name] for name in step_requests} == step_requests
    assert types["OrderPlaced"] == ORDERS + 2 and types["CancellationRequested"] == ORDERS // 40
    assert not {"FundsDeposited", "StockReceived", "PolicyChanged"} & types.keys()
    assert {row["topic"] for row in events} == set(JOURNALS)


def test_an_order_was_placed_when_the_record_of_it_came(filled: Settings):
    copy(filled)
    first = {}
    for row in sorted(rows(filled, schema.order_events), key=lambda row: -row["at_offset"]):
        if row["type"] == "OrderPlaced":
            first[row["order_id"]] = row["time"]
    assert {row["order_id"]: row["placed_at"] for row in rows(filled, schema.orders)} == first


def test_dead_letters_are_there_and_card_numbers_are_not(filled: Settings, shop: Scene):
    copy(filled)
    letters = rows(filled, schema.dead_letters)
    found = {(row["topic"], row["partition"], row["at_offset"], row["reason"]) for row in letters}
    assert found == set(shop.ledger().dead)
    assert {row["reason"] for row in letters} == {"unreadable", "invalid", "card_number", "different_content"}
    assert len(rows(filled, schema.settlements)) == 1
    assert CARD not in repr(contents(filled))


def test_what_people_write_is_kept_and_does_no_harm(filled: Settings):
    copy(filled)
    fitting = HOSTILE.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    notes = {row["note"] for row in rows(filled, schema.order_events) if row["note"]}
    assert notes == {fitting}
    headers = [json.loads(row["headers"]) for row in rows(filled, schema.dead_letters)]
    assert [NAME, "0\x00"] in [pair for each in headers for pair in each]


def test_the_same_records_again_change_nothing(filled: Settings):
    copied = copy(filled)
    before = contents(filled)
    assert copied > 4 * ORDERS
    assert copy(filled) == 0
    assert contents(filled) == before


def test_an_emptied_database_becomes_the_same_again(filled: Settings):
    copy(filled)
    before = contents(filled)
    empty(filled)
    assert not any(contents(filled).values())
    copy(filled)
    assert contents(filled) == before


@pytest.mark.slow("a copy that is killed again and again")
def test_a_rebuild_while_another_process_copies_ends_with_the_same(filled: Settings, tmp_path: Path):
    copy(filled)
    before = contents(filled)
    running = CopyProcess(filled, tmp_path / "running").start()
    try:
        running.wait_for("copying")
        rebuild = CopyProcess(filled, tmp_path / "rebuild", "orderdb", "rebuild").start()
        assert rebuild.wait_for_end() == 0, rebuild.text()
        assert contents(filled) == before
        assert running.end() == 0, running.text()
    finally:
        running.close()


@pytest.mark.slow("four more processes")
def test_an_archive_is_emptied_only_by_force(filled: Settings, tmp_path: Path):
    """Rows of orders that ended long enough ago may be nowhere else."""
    copy(filled)
    before = contents(filled)
    settings = replace(filled, order_retention_text="1s")
    refused = CopyProcess(settings, tmp_path / "refused", "orderdb", "rebuild").start()
    assert refused.wait_for_end() != 0
    assert f"{ORDERS} of its orders ended longer ago" in refused.text() and "--force" in refused.text()
    assert contents(filled) == before
    forced = CopyProcess(settings, tmp_path / "forced", "orderdb", "rebuild", "--force").start()
    assert forced.wait_for_end() == 0, forced.text()
    assert contents(filled) == before


def has_copied(settings: Settings, enough: int) -> bool:
    return copied(settings) >= enough


@pytest.mark.slow("a copy that is killed again and again")
def test_killed_at_any_moment_it_ends_with_the_same(filled: Settings, tmp_path: Path):
    copy(filled)
    undisturbed, everything = contents(filled), copied(filled)
    empty(filled)
    progress = []
    for number, enough in enumerate(sorted(random.Random(1).sample(range(everything * 3 // 4), 5))):
        process = CopyProcess(filled, tmp_path / f"log-{number}", records=10).start()
        process.wait_for("copying")
        until(partial(has_copied, filled, enough), 30, process.text)
        process.kill()
        progress.append(copied(filled))
    assert progress == sorted(progress)
    assert len({*progress} - {0, everything}) > 1, f"hardly disturbed: {progress}"
    copy(filled)
    assert contents(filled) == undisturbed
