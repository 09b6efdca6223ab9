"""I14: the topic `order_outcomes` says of each ended order what its row says, and of no other order anything."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from saga_app import topics
from saga_app.audit.findings import Breach, Mending
from saga_app.kafka.messages import VERSION, Outgoing, Place
from saga_app.kafka.order_outcomes import SOURCE
from tests.audit.world import PARTITIONS, AuditWorld, Written, bought, every_ending


def told(world: AuditWorld, order_id: str) -> tuple[Place, Written]:
    """The last record about this order."""
    place = (topics.ORDER_OUTCOMES, topics.partition_of(order_id, PARTITIONS))
    return place, next(each for each in reversed(world.logs[place]) if each.sent_key == order_id.encode())


def figures(world: AuditWorld) -> dict[str, int]:
    """The figures of I14, without those that are zero."""
    return dict(+world.audit().figures["I14"])


def only_breach(world: AuditWorld) -> Breach:
    (found,) = world.breaches()
    assert (found.invariant, found.mending) == ("I14", Mending.OUTCOME)
    return found


def changed(world: AuditWorld, order_id: str, **fields: Any) -> None:
    """Another worker told something else: a record with these fields comes behind the true one."""
    _, true = told(world, order_id)
    value = json.dumps({**json.loads(true.sent_value or b""), **fields}, separators=(",", ":")).encode()
    world.append(Outgoing(topics.ORDER_OUTCOMES, order_id.encode(), value, headers=true.sent_headers))


def test_each_ending_is_told_once(world: AuditWorld) -> None:
    every_ending(world)
    assert not world.breaches()
    assert figures(world) == {"outcomes": 7}


def test_an_outcome_says_how_and_when_an_order_ended_and_what_it_cost(shop: AuditWorld) -> None:
    _, outcome = told(shop, "dear")
    value = json.loads(outcome.sent_value or b"")
    ended_at = value.pop("ended_at")
    assert value == {
        "version": value["version"],
        "order_id": "dear",
        "state": "CANCELLED",
        "reason": "over_limit",
        "step": "payment",
        "customer_id": "c1",
        "currency": "GBP",
        "amount": "2000.00",
    }
    headers = {name: (value or b"").decode() for name, value in outcome.sent_headers}
    assert headers == {
        "ce_specversion": "1.0",
        "ce_id": f"dear:{value['version']}",
        "ce_source": SOURCE,
        "ce_type": "order.cancelled",
        "ce_subject": "dear",
        "ce_time": ended_at,
        "content-type": "application/json",
    }


def test_an_outcome_that_is_missing_is_a_breach(shop: AuditWorld) -> None:
    shop.remove(*told(shop, "first"))
    assert "its outcome is not there" in only_breach(shop).what


@pytest.mark.parametrize("fields", [{"reason": "out_of_stock"}, {"version": 10_000, "state": "COMPLETED"}])
def test_a_second_record_with_another_content_is_a_breach_until_the_true_one_is_last_again(
    shop: AuditWorld, fields: dict[str, Any]
) -> None:
    _, true = told(shop, "dear")
    changed(shop, "dear", **fields)
    assert "does not say what the row says: CANCELLED" in only_breach(shop).what
    shop.append(Outgoing(topics.ORDER_OUTCOMES, b"dear", true.sent_value, headers=true.sent_headers))
    assert not shop.breaches()


def test_an_outcome_with_another_reason_is_a_breach(shop: AuditWorld) -> None:
    place, true = told(shop, "dear")
    value = (true.sent_value or b"").replace(b"over_limit", b"out_of_stock")
    shop.replace(place, true, sent_value=value)
    assert "does not say what the row says: CANCELLED" in only_breach(shop).what


@pytest.mark.parametrize(
    "forge",
    [
        lambda value: (b"nobody", value.replace(b"first", b"nobody")),
        lambda value: (b"open", value.replace(b"first", b"open")),
        lambda value: (b"first", b"{}"),
        lambda value: (b"another", value),
        lambda value: (b"first", None),
    ],
    ids=["of nobody", "of an open order", "unreadable", "under another key", "removed by a stranger"],
)
def test_a_forged_record_is_a_breach(
    shop: AuditWorld, forge: Callable[[bytes], tuple[bytes, bytes | None]]
) -> None:
    shop.send(bought("open"))
    shop.decide(next(iter(shop.waiting())))
    _, true = told(shop, "first")
    key, value = forge(true.sent_value or b"")
    shop.append(Outgoing(topics.ORDER_OUTCOMES, key, value, headers=true.sent_headers))
    assert {each.invariant for each in shop.breaches()} == {"I14"}


def test_repeats_are_counted_and_are_no_breach(shop: AuditWorld) -> None:
    _, true = told(shop, "first")
    shop.append(Outgoing(topics.ORDER_OUTCOMES, b"first", true.sent_value, headers=true.sent_headers))
    assert not shop.breaches()
    assert figures(shop) == {"outcomes": 3, "repeats": 1}


def test_an_ending_that_is_not_committed_yet_may_be_told_later(shop: AuditWorld) -> None:
    shop.send(bought("later"))
    while b"OrderCompleted" not in (shop.logs[(place := shop.waiting()[0])][-1].sent_value or b""):
        shop.decide(place)
    shop.decide(place, crashes=True)
    assert not shop.breaches()
    assert figures(shop) == {"outcomes": 3, "outcomes under way": 1}


def test_the_outcome_of_an_evicted_order_is_removed(shop: AuditWorld) -> None:
    shop.evict().run()
    shop.run(bought("old"))
    shop.evict().run()
    assert not shop.breaches()
    _, removed = told(shop, "old")
    assert removed.sent_value is None and dict(removed.sent_headers)[VERSION]
    place, _ = told(shop, "old")
    shop.remove(place, removed)
    assert "an outcome of an order without a row" in only_breach(shop).what


def test_an_older_record_behind_the_one_that_counts_is_a_breach(shop: AuditWorld) -> None:
    shop.evict().run()
    shop.run(bought("old"))
    _, true = told(shop, "old")
    shop.evict().run()
    shop.append(Outgoing(topics.ORDER_OUTCOMES, b"old", true.sent_value, headers=true.sent_headers))
    assert "an outcome of an order without a row" in only_breach(shop).what
