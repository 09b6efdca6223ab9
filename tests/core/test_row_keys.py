"""Keys of rows: each is taken apart into its parts, whatever customers and warehouses are called."""

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from saga_app.core import row_keys
from saga_app.core.row_keys import KeyKind

#: Ids as records allow them, names of kinds among them.
IDS = st.sampled_from([kind.value for kind in KeyKind]) | st.from_regex(
    r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}", fullmatch=True
)
NUMBERS = st.integers(0, 10**16 - 1)


def test_the_spelling_of_every_key_is_fixed() -> None:
    assert row_keys.deposit_key("c1", "d1") == "deposit:c1:d1"
    assert row_keys.delivery_key("main", "d1") == "delivery:main:d1"
    assert row_keys.policy_key("p1") == "policy:p1"
    assert row_keys.segment_key(7) == "segment:0000000000000007"
    assert row_keys.closed_key(8) == "closed:0000000000000008"
    assert row_keys.low_watermark_key(3) == "low_watermark:3"
    assert row_keys.evicted_total_key("c1:GBP") == "evicted:c1:GBP"
    assert row_keys.balance_key("c1", "GBP") == "c1:GBP"
    assert row_keys.segment_name(3, 12) == "3:12"


@for_all(IDS, IDS, NUMBERS)
def test_a_key_is_taken_apart_into_the_parts_it_was_made_of(one: str, other: str, number: int) -> None:
    balance = row_keys.balance_key(one, other)
    assert row_keys.parts_of_balance(balance) == (one, other)
    assert row_keys.balance_in(row_keys.evicted_total_key(balance)) == balance
    assert row_keys.parts_of(row_keys.segment_name(3, number)) == (3, number)
    for make in (row_keys.segment_key, row_keys.closed_key, row_keys.low_watermark_key):
        assert row_keys.number_in(make(number)) == number


@for_all(IDS, IDS, NUMBERS)
def test_a_key_of_a_journal_is_of_one_kind_or_of_an_order(one: str, other: str, number: int) -> None:
    kinds = {
        one: None,
        row_keys.deposit_key(one, other): KeyKind.DEPOSIT,
        row_keys.delivery_key(one, other): KeyKind.DELIVERY,
        row_keys.policy_key(one): KeyKind.POLICY,
        row_keys.segment_key(number): KeyKind.SEGMENT,
        row_keys.closed_key(number): KeyKind.CLOSED,
        row_keys.low_watermark_key(number): KeyKind.LOW_WATERMARK,
        row_keys.evicted_total_key(row_keys.balance_key(one, other)): KeyKind.EVICTED,
    }
    for key, kind in kinds.items():
        data = key.encode()
        assert row_keys.kind_of(key) is kind
        assert row_keys.is_order_key(key) == (kind is None)
        assert row_keys.order_in(data) == (key if kind is None else None)
        assert row_keys.is_supply_key(key) == (kind in (KeyKind.DEPOSIT, KeyKind.DELIVERY))
        assert row_keys.is_milestone(data) == (kind in (KeyKind.LOW_WATERMARK, KeyKind.CLOSED))
        assert [each for each in KeyKind if data.startswith(each.prefix)] == ([] if kind is None else [kind])


@for_all(NUMBERS, NUMBERS)
def test_keys_of_segments_sort_by_their_numbers(one: int, other: int) -> None:
    for make in (row_keys.segment_key, row_keys.closed_key):
        assert (make(one) < make(other)) == (one < other)


def test_an_unknown_kind_is_no_order_and_a_name_without_a_unit_is_no_balance() -> None:
    assert row_keys.kind_of("else:o1") is None
    assert row_keys.order_in(b"else:o1") is None
    with pytest.raises(ValueError, match="no key of a balance"):
        row_keys.parts_of_balance("c1")
