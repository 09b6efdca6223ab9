"""Dead letters are bounded: whoever can write to an inbox cannot fill their topic as fast as he sends."""

from saga_app.dead_letters.budget import MOST_A_MINUTE, LetterBudget

PLACE = ("payment_events", 3)
MINUTE = 60_000


def test_the_letters_of_a_partition_keep_so_many_bytes_a_minute() -> None:
    budget = LetterBudget()
    assert budget.takes(PLACE, 5, MOST_A_MINUTE - 10)
    assert not budget.takes(PLACE, 6, 11)
    assert budget.takes(PLACE, 7, 10)
    assert not budget.takes(PLACE, MINUTE - 1, 1)


def test_the_next_minute_begins_anew() -> None:
    budget = LetterBudget()
    assert budget.takes(PLACE, MINUTE - 1, MOST_A_MINUTE)
    assert budget.takes(PLACE, MINUTE, MOST_A_MINUTE)


def test_another_partition_has_its_own_budget() -> None:
    budget = LetterBudget()
    assert budget.takes(PLACE, 5, MOST_A_MINUTE)
    assert budget.takes(("payment_events", 4), 5, MOST_A_MINUTE)
    assert budget.takes(("shipping_events", 3), 5, MOST_A_MINUTE)
