"""Bad input: each kind is refused with its reason, and nothing but `Rejected` is ever raised."""

import json
from collections import Counter

import pytest
from hypothesis import example
from hypothesis import given as for_all
from hypothesis import strategies as st

from saga_app import wire
from saga_app.core.errors import Fault, Rejected
from saga_app.redaction import has_card_number
from tests.support.corpus import CARD, CORPUS, GOOD, BadBytes, order_with, spelled


def rejected(value: bytes | None) -> Rejected:
    with pytest.raises(Rejected) as caught:
        wire.decode(value)
    return caught.value


@pytest.mark.parametrize("bad", CORPUS, ids=lambda bad: bad.name[:60].encode("ascii", "replace").decode())
def test_bad_input_is_refused_for_its_reason(bad: BadBytes) -> None:
    rejection = rejected(bad.value)
    assert rejection.fault is bad.fault, rejection
    assert rejection.detail
    assert len(rejection.detail) <= wire.LONGEST_DETAIL
    assert not has_card_number([rejection.detail])


def test_the_corpus_is_large_and_every_kind_has_a_name_of_its_own() -> None:
    assert len(CORPUS) > 300
    assert [name for name, count in Counter(bad.name for bad in CORPUS).items() if count > 1] == []


def test_a_detail_names_the_field() -> None:
    assert rejected(order_with(currency="gbp")).detail.startswith("currency: ")
    assert rejected(order_with(lines=[{"sku": "a", "quantity": 0}])).detail.startswith("lines.0.quantity: ")
    assert "colour" in rejected(order_with(colour="red")).detail


@pytest.mark.parametrize("type_", [f"{'x' * 60}{CARD}", f"{CARD}", f"{CARD} 1"])
def test_a_detail_never_holds_a_card_number_or_the_beginning_of_one(type_: str) -> None:
    rejection = rejected(spelled(type_, {}))
    assert "41111111111" not in rejection.detail


def test_a_detail_is_cut_after_card_numbers_are_hidden() -> None:
    rejection = rejected(order_with(**{f"{'x' * 290}-4111111111111111": 1}))
    assert "41111" not in rejection.detail


def test_256_kib_are_allowed_for_people_and_a_byte_more_is_not() -> None:
    fitting = order_with()[:-1].ljust(256 * 1024 - 1) + b"}"
    assert len(fitting) == 256 * 1024
    wire.decode(fitting)
    assert rejected(fitting + b" ").fault is Fault.TOO_LARGE


def test_a_step_request_may_be_larger_than_what_people_send() -> None:
    fitting = spelled("PaymentRequested", GOOD["PaymentRequested"]).ljust(1024 * 1024)
    wire.decode(fitting)
    assert rejected(fitting + b" ").fault is Fault.TOO_LARGE


def test_every_order_of_2000_lines_that_people_can_send_fits_into_a_step_request() -> None:
    lines = [{"sku": f"{each:064}", "quantity": 1_000_000} for each in range(2_000)]
    largest = order_with(order_id="a" * 64, customer_id="b" * 64, warehouse="c" * 64, lines=lines)
    assert len(largest) <= wire.LARGEST_FROM_PEOPLE
    assert len(wire.encode(wire.decode(largest))) <= wire.LARGEST_FROM_PEOPLE


def test_a_number_is_read_exactly() -> None:
    fields = wire.parse(b'{"amount":9007199254740993.01}')
    assert str(fields["amount"]) == "9007199254740993.01"
    assert str(wire.parse(b'{"amount":0.1}')["amount"]) == "0.1"


def test_the_texts_of_a_record_are_found_however_deep_they_stand() -> None:
    deep: object = CARD
    for _ in range(20_000):
        deep = [deep]
    assert has_card_number(wire.texts({"note": deep}))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["GBP", "1", CARD]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = sorted({field for fields in GOOD.values() for field in fields} | {"type", "limit", "countries"})


def detail_of(value: bytes) -> str | None:
    """Why these bytes are refused, or None if they are a record."""
    try:
        wire.decode(value)
    except Rejected as rejection:
        return rejection.detail
    return None


def decodes_or_rejects(value: bytes) -> None:
    detail = detail_of(value)
    wire.harmless(value)
    if detail is None:
        record = wire.decode(value)
        assert wire.decode(wire.encode(record)) == record
    else:
        assert not has_card_number([detail])


@for_all(st.binary(max_size=200))
@example(b'{"order_id":1,"amount":1e99999999999999999999}')
@example(b'{"order_id":1,"amount":5,"currency":[]}')
@example(b'{"order_id":1,"amount":5,"country":{}}')
@example(b'{"order_id":1,"amount":"--5"}')
@example(b"[" * 100_000)
def test_any_bytes_are_read_or_refused_and_nothing_else_is_raised(value: bytes) -> None:
    decodes_or_rejects(value)


@for_all(
    st.sampled_from(list(GOOD)), st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), JSON_VALUES)
)
def test_any_record_with_any_field_replaced_is_read_or_refused(
    type_: str, replaced: dict[str, object]
) -> None:
    fields = {"type": type_, **GOOD[type_], **replaced}
    decodes_or_rejects(json.dumps(fields).encode("utf-8", "surrogatepass"))


@for_all(st.sampled_from(list(GOOD)), st.data())
def test_any_record_with_any_bytes_changed_is_read_or_refused(type_: str, data: st.DataObject) -> None:
    value = bytearray(spelled(type_, GOOD[type_]))
    for at in data.draw(st.lists(st.integers(0, len(value) - 1), min_size=1, max_size=4)):
        value[at] = data.draw(st.integers(0, 255))
    decodes_or_rejects(bytes(value))


@for_all(st.sampled_from(list(GOOD)), st.data())
def test_any_record_with_bytes_put_in_or_cut_out_is_read_or_refused(type_: str, data: st.DataObject) -> None:
    value = spelled(type_, GOOD[type_])
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(value)), st.integers(0, len(value)))))
    decodes_or_rejects(value[:start] + data.draw(st.binary(max_size=4)) + value[end:])
