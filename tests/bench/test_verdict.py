"""A candidate that ends orders wrongly is found out, with an example."""

import pytest

from bench.verdict import Wrong, compensated, judge
from bench.watch import SeenOrders

EXPECTED = {"a": "COMPLETED", "b": "over_limit", "c": "COMPLETED"}


def seen(**endings: str | None) -> SeenOrders:
    """The orders `a` to `c` as seen in the inbox: they end as they must, except for the given ones."""
    found = SeenOrders()
    for order, ending in {**EXPECTED, **endings}.items():
        found.note({"type": "OrderPlaced", "order_id": order}, 0)
        for each in (ending or "").split():
            cancelled = {"type": "OrderCancelled", "order_id": order, "reason": each}
            found.note(cancelled if each != "COMPLETED" else {"type": "OrderCompleted", "order_id": order}, 5)
    return found


def test_right_endings_are_counted_by_kind() -> None:
    assert judge(seen(), EXPECTED) == {"COMPLETED": 2, "over_limit": 1}


@pytest.mark.parametrize(
    ("order", "ending", "words"),
    [
        ("b", "COMPLETED", "b must end over_limit, it ended COMPLETED"),
        ("a", "out_of_stock", "a must end COMPLETED, it ended out_of_stock"),
        ("a", None, "a must end COMPLETED, it ended not at all"),
        ("a", "COMPLETED out_of_stock", "a must end COMPLETED, it ended COMPLETED and out_of_stock"),
    ],
)
def test_an_order_that_ends_wrong_is_named(order: str, ending: str | None, words: str) -> None:
    with pytest.raises(Wrong, match=f"1 of 3 orders ended wrong: {words}"):
        judge(seen(**{order: ending}), EXPECTED)


def test_an_ending_of_an_order_that_nobody_placed_is_wrong() -> None:
    with pytest.raises(Wrong, match="1 orders ended that nobody placed, for example d"):
        judge(seen(d="COMPLETED"), EXPECTED)


def test_the_same_ending_told_twice_is_a_repeat_and_not_wrong() -> None:
    found = seen(a="COMPLETED COMPLETED")
    assert found.repeats == 1 and judge(found, EXPECTED)["COMPLETED"] == 2


def test_the_first_time_of_an_order_counts_and_not_its_repeats() -> None:
    found = seen()
    found.note({"type": "OrderPlaced", "order_id": "a"}, 90)
    found.note({"type": "OrderCompleted", "order_id": "a"}, 90)
    assert found.latencies == [5, 5, 5] and found.seconds == 0.005


def test_records_that_are_about_no_order_are_passed_over() -> None:
    found = seen()
    found.note({"type": "RetentionStarted", "partition": 0, "segment_width": 1_000}, 1)
    assert judge(found, EXPECTED) == {"COMPLETED": 2, "over_limit": 1}


def test_compensations_that_were_left_out_are_found() -> None:
    endings = [{"undeliverable": 2, "COMPLETED": 7}, {"unknown_sku": 1, "out_of_stock": 1, "over_limit": 3}]
    compensated(6, endings)
    compensated(7, endings)
    with pytest.raises(Wrong, match="5 compensations were sent, but the endings take 6"):
        compensated(5, endings)
