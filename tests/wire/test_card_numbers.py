"""Card numbers: found exactly where the definition says, in a time that grows with the text and no faster."""

import sys
from itertools import product
from types import FrameType
from typing import Any

import pytest
from hypothesis import example
from hypothesis import given as for_all
from hypothesis import strategies as st

from saga_app import wire
from saga_app.core.errors import Rejected
from saga_app.redaction import has_card_number
from tests.support.corpus import CARD, CARDS, NOT_CARDS

LETTERS_AND_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def luhn_holds(digits: str) -> bool:
    """ISO/IEC 7812-1: from the right every second digit is doubled, and the digits are added up."""
    doubled = [int(each) * (1 + at % 2) for at, each in enumerate(reversed(digits))]
    return sum(sum(divmod(each, 10)) for each in doubled) % 10 == 0


def by_definition(text: str) -> bool:
    """13 to 19 digits, at most one space or dash between two, nothing that touches them, a prefix, and Luhn."""
    for start, end in product(range(len(text)), range(13, 38)):
        part = text[start : start + end]
        if len(part) < end or not (part[0] in "23456" and part[-1] in "0123456789"):
            continue
        if set(part) - set("0123456789 -") or any(pair in part for pair in ("  ", "--", " -", "- ")):
            continue
        around = text[max(0, start - 1) : start] + text[start + end : start + end + 1]
        digits = part.replace(" ", "").replace("-", "")
        if 13 <= len(digits) <= 19 and not set(around) & set(LETTERS_AND_DIGITS) and luhn_holds(digits):
            return True
    return False


@pytest.mark.parametrize(("texts", "are"), [(CARDS, True), (NOT_CARDS, False)], ids=["cards", "not cards"])
def test_known_numbers(texts: tuple[str, ...], are: bool) -> None:
    assert {has_card_number([text]) for text in texts} == {are} == {by_definition(text) for text in texts}


@pytest.mark.parametrize("alphabet", ["0123456789", "0123456789 ", "0123456789 -", "0123456789-xé", "24 -"])
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
    for count in (1_000, 2_000, 4_000):
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
