"""Free text of a shop travels along, and no text in it can be mistaken for a field of ours."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saga_app import wire
from saga_app.core.errors import Fault, Rejected
from saga_app.core.numbers import Offset, version_at
from saga_app.core.order import Order, as_placed, routed
from saga_app.core.records import OrderPlaced, PaymentRequested
from saga_app.core.rows import JournalRow, OrderRow, OutsideEffect, State, Status
from saga_app.core.step_names import StepName
from saga_app.kafka.order_outcomes import heard, outcome_value

HOSTILE = (
    '"',
    "\\",
    '","lines":[{"sku":"GOLD","quantity":9}],"x":"',
    '"],"route":["shipping"]}',
    '],"route":["',
    ',"order":{"order_id":"other"',
    ',"capture_before":1,"conflict":"',
    '{"version":1,"closed":"COMPLETED"',
    "line\u2028and\u2029paragraph \U0001f375 \u202e",
    '"payment_method":"stripe:pm_1"',
)
TEXTS = st.sampled_from(HOSTILE) | st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Nd")), min_size=1, max_size=30
)


def placed(**fields: Any) -> Order:
    record = wire.decode(json.dumps({"order_id": "o1", "amount": 5, **fields}).encode())
    assert isinstance(record, OrderPlaced)
    return record.order


def fault(**fields: Any) -> tuple[Fault, str]:
    with pytest.raises(Rejected) as told:
        placed(**fields)
    return told.value.fault, told.value.detail


@given(TEXTS, st.dictionaries(TEXTS.filter(lambda text: len(text) <= 40), TEXTS, max_size=5))
def test_free_text_comes_back_as_it_was_and_makes_no_field(reference: str, metadata: dict[str, str]) -> None:
    order = placed(reference=reference, metadata=metadata, lines=[{"sku": "a", "quantity": 1}])
    assert (order.reference, dict(order.metadata or ())) == (reference, metadata)
    read = wire.decode(wire.encode(PaymentRequested(order=order)))
    assert isinstance(read, PaymentRequested)
    assert (read.order, read.order.canonical) == (order, order.canonical)
    named = [*json.loads(order.canonical)]
    assert all(order.canonical.count(b'"%s":' % name.encode()) == 1 for name in named if name != "quantity")
    assert not any(
        b'"%s":' % name in order.canonical for name in (b"route", b"order", b"conflict", b"version")
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_rows_with_free_text_are_read_as_they_were_written(text: str) -> None:
    order = placed(reference=text, metadata={text[:40]: text})
    on_route = routed(order, (StepName.PAYMENT, StepName.SHIPPING))
    assert as_placed(on_route.canonical) == order.canonical == as_placed(order.canonical)
    row = OrderRow(version_at(3), Status.OPEN, Offset(1), 0, 5, on_route.canonical)
    assert OrderRow.decode(row.encode()) == row
    journal = JournalRow(
        version_at(3), State.DOING, "0" * 16, outside=OutsideEffect("stripe", 1, on_route.canonical)
    )
    assert JournalRow.decode(journal.encode()) == journal


@pytest.mark.parametrize("text", HOSTILE)
def test_the_outcome_of_an_order_repeats_its_free_text(text: str) -> None:
    order = placed(reference=text, metadata={text[:40]: text}, shipping=2, tax=1, discount="0.50")
    row = OrderRow(version_at(3), Status.COMPLETED, Offset(1), 0, 5, order.canonical, ended_at=9)
    found = heard(b"o1", outcome_value("o1", row), ())
    assert found is not None
    outcome = found.outcome
    assert (outcome.reference, outcome.metadata) == (text, {text[:40]: text})
    assert (outcome.shipping, outcome.tax, outcome.discount) == ("2.00", "1.00", "0.50")


def test_a_text_that_is_escaped_in_another_way_is_written_in_ours() -> None:
    order = placed(reference="A/b")
    forged = wire.encode(PaymentRequested(order=order)).replace(b'"A/b"', b'"\\u0041\\/b"')
    read = wire.decode(forged)
    assert isinstance(read, PaymentRequested)
    assert read.order.canonical == order.canonical


def test_metadata_have_one_spelling() -> None:
    assert placed(metadata={"b": "1", "a": "2"}) == placed(metadata={"a": "2", "b": "1"})
    assert placed(metadata={}) == placed()
    canonical = placed(metadata={"b": "1", "a": "2"}).canonical
    assert b'"metadata":[["a","2"],["b","1"]],"lines"' in canonical
    for wrong in (b'[["b","1"],["a","2"]]', b'[["a","2"],["a","2"]]', b"[]"):
        with pytest.raises(ValueError, match="metadata"):
            Order.model_validate_json(canonical.replace(b'[["a","2"],["b","1"]]', wrong))


@pytest.mark.parametrize(
    "fields",
    [
        {"reference": ""},
        {"reference": "x" * 129},
        {"reference": "two\nlines"},
        {"reference": "\x1b[2J"},
        {"reference": 7},
        {"metadata": {"": "x"}},
        {"metadata": {"x" * 41: "x"}},
        {"metadata": {"x": "x" * 501}},
        {"metadata": {"x": "\x00"}},
        {"metadata": {"x": 1}},
        {"metadata": {"x": {"y": "z"}}},
        {"metadata": {str(number): "x" for number in range(21)}},
        {"metadata": {str(number): "x" * 300 for number in range(8)}},
        {"metadata": [["a", "b"]]},
    ],
    ids=str,
)
def test_free_text_has_bounds(fields: dict[str, Any]) -> None:
    assert fault(**fields)[0] is Fault.INVALID


def test_a_lone_surrogate_is_no_text() -> None:
    for text in ('"\\ud800"', '"\udc80"'):
        with pytest.raises(Rejected):
            wire.decode(b'{"order_id":1,"amount":1,"reference":%s}' % text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize(
    "fields",
    [
        {"reference": "4242 4242 4242 4242"},
        {"metadata": {"note": "card 4242424242424242"}},
        {"metadata": {"sku": "3566002020360505"}},
        {"metadata": {"order_id": "4242424242424242"}},
        {"metadata": {"amount": "4242.4242.4242.4242"}},
        {"metadata": {"4242424242424242": "x"}},
        {"metadata": {"note": "".join(chr(0xFF10 + int(digit)) for digit in "4242424242424242")}},
    ],
    ids=str,
)
def test_a_card_number_in_free_text_is_refused_under_any_name(fields: dict[str, Any]) -> None:
    assert fault(**fields)[0] is Fault.CARD_NUMBER


def test_an_order_without_free_text_has_the_bytes_that_it_always_had() -> None:
    assert placed().canonical == (
        b'{"order_id":"o1","currency":"GBP","amount":"5.00","warehouse":"main","lines":[]}'
    )
