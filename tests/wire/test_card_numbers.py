"""Card numbers: found exactly where the definition says, in a time that grows with the text and no faster."""

import json
import sys
from itertools import pairwise, product
from types import FrameType
from typing import Any

import pytest
from hypothesis import example
from hypothesis import given as for_all
from hypothesis import strategies as st

from saga_app import wire
from saga_app.core.errors import Fault, Rejected
from saga_app.core.records import Outcome
from saga_app.redaction import MOST_SEARCHED, SEPARATORS, has_card_number, is_card_number
from tests.support.corpus import CARD, CARDS, NOT_CARDS
from tests.support.examples import answered, order, pay

DIGITS = "0123456789"
LETTERS_AND_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def luhn_holds(digits: str) -> bool:
    """ISO/IEC 7812-1: from the right every second digit is doubled, and the digits are added up."""
    doubled = [int(each) * (1 + at % 2) for at, each in enumerate(reversed(digits))]
    return sum(sum(divmod(each, 10)) for each in doubled) % 10 == 0


def by_definition(text: str) -> bool:
    """13 to 19 digits, at most one separator between two, nothing that touches them, a prefix, and Luhn."""
    for start, end in product(range(len(text)), range(13, 38)):
        part = text[start : start + end]
        if len(part) < end or not (part[0] in "23456" and part[-1] in "0123456789"):
            continue
        if set(part) - set(DIGITS + SEPARATORS) or any(
            {first, second} <= set(SEPARATORS) for first, second in pairwise(part)
        ):
            continue
        around = text[max(0, start - 1) : start] + text[start + end : start + end + 1]
        digits = "".join(each for each in part if each in DIGITS)
        if 13 <= len(digits) <= 19 and not set(around) & set(LETTERS_AND_DIGITS) and luhn_holds(digits):
            return True
    return False


@pytest.mark.parametrize(("texts", "are"), [(CARDS, True), (NOT_CARDS, False)], ids=["cards", "not cards"])
def test_known_numbers(texts: tuple[str, ...], are: bool) -> None:
    assert {has_card_number([text]) for text in texts} == {are} == {by_definition(text) for text in texts}


@pytest.mark.parametrize(
    "alphabet",
    ["0123456789", "0123456789 ", "0123456789 -", "0123456789-xé", "24 -", "0123456789./_", "24._"],
)
def test_what_is_found_is_what_the_definition_says(alphabet: str) -> None:
    @for_all(st.text(alphabet, min_size=12, max_size=45))
    @example(f"x {CARD}")
    @example(f"x{CARD}")
    @example(f"{CARD}  {CARD}x")
    @example(f"{CARD} x")
    @example(f"1 - {CARD[:8]} {CARD[8:]}-")
    def check(text: str) -> None:
        assert has_card_number([text]) is by_definition(text)

    check()


def digits_without_a_card_number(count: int) -> str:
    """The worst case: nearly every digit may begin and end a number, and none has a right Luhn sum."""
    digits = ""
    while len(digits) < count:
        for each in "2345601789":
            longer = digits + each
            ends = (longer[-length:] for length in range(13, 20) if len(longer) >= length)
            if not any(part[0] in "23456" and luhn_holds(part) for part in ends):
                break
        digits = longer
    return " ".join(digits)


def lines_run(value: bytes) -> int:
    """How many lines of our code are run to refuse these bytes and to keep them."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with pytest.raises(Rejected):
            wire.decode(value)
        wire.harmless(value)
    finally:
        sys.settrace(before)
    return count


def test_the_worst_digits_cost_a_few_steps_each() -> None:
    """They used to cost a hundred: 4 MiB of them held up a worker until its watchdog ended it, again and again."""
    for count in (500, 1_000, 2_000):
        digits = digits_without_a_card_number(count)
        assert not has_card_number([digits])
        value = b'{"type":"PaymentRequested","note":"%s"}' % digits.encode()
        assert lines_run(value) < 24 * count + 1_000


@pytest.mark.parametrize(
    "beside",
    ['"x":"\\ud800"', f'"x":{"[" * 250}{"]" * 250}', '"x":1,"x":1', '"x":tru'],
    ids=["half a surrogate", "nested too deep", "a name twice", "no JSON"],
)
def test_a_card_number_in_escapes_is_hidden_also_where_the_record_cannot_be_read(beside: str) -> None:
    escaped = "".join(f"\\u{ord(digit):04x}" for digit in CARD)
    value = f'{{"order_id":1,"amount":5,"note":"{escaped}",{beside}}}'.encode()
    with pytest.raises(Rejected):
        wire.decode(value)
    kept = wire.harmless(value)
    assert kept is not None and kept.startswith(b"sha256:")


@pytest.mark.parametrize(
    "spelled",
    [
        "4111.1111.1111.1111",
        "4111/1111/1111/1111",
        "4111_1111_1111_1111",
        "4111\u00a01111\u202f1111\u20071111",
        "4111\u20131111\u22121111\u20101111",
        "".join(chr(ord(digit) + 0xFEE0) for digit in CARD),
        "4111\u200b1111\u00ad1111\ufeff1111",
        "".join(chr(ord(digit) - ord("0") + 0x660) for digit in CARD),
    ],
)
def test_a_card_number_is_found_with_the_separators_and_digits_of_any_alphabet(spelled: str) -> None:
    assert has_card_number([f"pay {spelled}!"])
    kept = wire.harmless(spelled.encode())
    assert kept is not None and kept.startswith(b"sha256:")


@pytest.mark.parametrize("name", ["order_id", "customer_id"])
@pytest.mark.parametrize("id_", [CARD, "4111-1111-1111-1111", f"order-{CARD}", "378282246310005", int(CARD)])
def test_an_id_that_is_a_card_number_is_refused(name: str, id_: str | int) -> None:
    value = json.dumps({"order_id": "o1", "amount": 5, name: id_}).encode()
    with pytest.raises(Rejected) as refused:
        wire.decode(value)
    assert refused.value.fault is Fault.CARD_NUMBER
    kept = wire.harmless(value)
    assert kept is not None and kept.startswith(b"sha256:")


def test_an_id_that_is_a_card_number_is_refused_in_a_step_request_of_our_own_layout() -> None:
    value = wire.encode(pay(order(CARD)))
    with pytest.raises(Rejected) as refused:
        wire.decode(value)
    assert refused.value.fault is Fault.CARD_NUMBER


@pytest.mark.parametrize(
    "id_", ["4006381333931", "1796079185715", "20260501-123456", "0411111111111111", "7" * 20]
)
def test_numbers_of_goods_and_times_are_ids(id_: str) -> None:
    assert not is_card_number(id_)
    wire.decode(json.dumps({"order_id": id_, "amount": 5}).encode())


def test_the_point_of_an_amount_is_no_separator() -> None:
    assert has_card_number(["41111111111.19"])
    assert not has_card_number(wire.texts({"amount": "41111111111.19"}))


def test_more_numbers_than_are_searched_are_refused_unread() -> None:
    """A megabyte of digits would cost more than half a second."""
    value = b'{"order_id":1,"amount":5,"note":"%s"}' % (b"1234567 " * 25_000)
    assert lines_run(value) < 24 * MOST_SEARCHED + 1_000
    with pytest.raises(Rejected) as refused:
        wire.decode(value)
    assert refused.value.fault is Fault.CARD_NUMBER


@for_all(st.from_regex(r"[0-9][0-9._-]{11,40}", fullmatch=True))
@example("202612011234567898")
@example("62041755530012343")
@example("4222222222222")
def test_the_answer_about_an_id_that_an_order_may_have_can_be_read(id_: str) -> None:
    """Or every answer would be a dead letter, and the order would never end."""
    try:
        wire.decode(wire.encode(pay(order(id_, customer_id=id_))))
    except Rejected:
        return
    told = answered(Outcome.DONE, "pi_1", order_id=id_, key=id_)
    assert wire.decode(wire.encode(told)) == told
