"""The decoder against anything: bytes in, a record or a reason out, in bounded time and memory."""

import gc
import json
import time
import tracemalloc
from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from saga_app import wire
from saga_app.core.errors import Fault, Rejected
from saga_app.redaction import has_card_number
from tests.support.corpus import CORPUS, GOOD, spelled
from tests.support.profiles import examples

VALID: Final = [spelled(type_, fields) for type_, fields in GOOD.items()]
#: Typical input of fuzzers: structure, numbers at their limits, confusable characters.
PIECES: Final = [
    *(b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\\u0000", b"\\ud83d", b"\\udc00", b"\\u0022", b"\0"),
    *(b"null", b"true", b"NaN", b"-Infinity", b"-0", b"-0.0", b"1e400", b"1E-400", b"1e-99999999", b"0x1F"),
    *(b"9" * 39, b"9" * 4_301, b"0." + b"0" * 39, b"18446744073709551616", b"-9223372036854775809", b"1e+16"),
    *(b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf", b"\x1b[2J", b"\x7f"),
    *(
        text.encode()
        for text in (
            "é",
            "e\u0301",
            "ﬁ",
            "\u202e",
            "\u2028",
            "\ufeff",
            "٣",
            "\uff11\uff12",
            "\u041a",
            "\u0131",
            "\U0001f600",
        )
    ),
    *(b"[" * 999, b'{"order":' * 999, b'"type":"RefundRequested",', b'"order_id":"o1",', b"4111111111111111"),
]


def fate(value: bytes) -> str:
    """The outcome for these bytes; any exception but `Rejected` fails the test."""
    try:
        record = wire.decode(value)
    except Rejected as rejection:
        return refused(value, rejection)
    # An accepted record survives a round trip.
    assert wire.decode(wire.encode(record)) == record
    return "accepted"


def refused(value: bytes, why: Rejected) -> str:
    """Each reason can be shown, and what is kept is the bytes or their hash."""
    assert why.fault in set(Fault)
    assert 0 < len(why.detail) <= wire.LONGEST_DETAIL
    assert not has_card_number([why.detail])
    kept = wire.harmless(value)
    assert kept == value or (kept is not None and kept.startswith(b"sha256:"))
    return str(why.fault)


@examples(400)
@for_all(
    st.sampled_from(VALID),
    st.lists(st.tuples(st.floats(0, 1), st.sampled_from(PIECES)), min_size=1, max_size=5),
)
def test_a_good_record_with_pieces_put_in_anywhere(value: bytes, pieces: list[tuple[float, bytes]]) -> None:
    for at, piece in pieces:
        place = int(at * len(value))
        value = value[:place] + piece + value[place:]
    fate(value)


@examples(400)
@for_all(st.sampled_from(VALID), st.sampled_from(VALID), st.floats(0, 1), st.floats(0, 1))
def test_the_head_of_one_record_with_the_tail_of_another(
    first: bytes, second: bytes, head: float, tail: float
) -> None:
    fate(first[: int(head * len(first))] + second[int(tail * len(second)) :])


@examples(400)
@for_all(st.sampled_from(VALID), st.data())
def test_a_good_record_with_any_of_its_tokens_replaced(value: bytes, data: st.DataObject) -> None:
    """Names, texts, numbers and lists of a valid record, each by something of another kind."""
    tokens = value.split(b'"')
    at = data.draw(st.integers(0, len(tokens) - 1))
    tokens[at] = data.draw(st.sampled_from(PIECES) | st.binary(max_size=8) | st.text().map(str.encode))
    fate(b'"'.join(tokens))


@examples(100)
@for_all(st.binary(max_size=2_000))
def test_any_bytes(value: bytes) -> None:
    fate(value)


@pytest.mark.parametrize("depth", [1, 50, 500, 990, 1_010, 5_000, 100_000, 500_000])
@pytest.mark.parametrize(("opens", "closes"), [(b"[", b"]"), (b'{"order":', b"}"), (b'[{"lines":', b"}]")])
def test_any_depth_is_refused(depth: int, opens: bytes, closes: bytes) -> None:
    """As a record, as a field that nobody knows, and where an order should be; closed or not."""
    for nested in (opens * depth + b"1" + closes * depth, opens * depth):
        for value in (
            nested,
            b'{"order_id":"1","amount":5,"x":%s}' % nested,
            b'{"type":"PaymentRequested","order":%s}' % nested,
        ):
            assert fate(value) != "accepted"


@pytest.mark.parametrize(
    "look_alike", ["\u043erder_id", "order\u200b_id", "\uff4frder_id", "order_id\u0000", "ORDER_ID"]
)
def test_a_name_that_only_looks_right_is_another_name(look_alike: str) -> None:
    assert fate(json.dumps({look_alike: "1", "amount": 5}, ensure_ascii=False).encode()) == Fault.INVALID


@pytest.mark.parametrize("digits", ["٣", "\uff13", "௩", "\U0001d7db", "²", "½", "Ⅷ", "3\u0301"])
def test_digits_of_other_scripts_are_no_amount_and_no_id(digits: str) -> None:
    for fields in ({"order_id": "1", "amount": digits}, {"order_id": digits, "amount": 1}):
        assert fate(json.dumps(fields, ensure_ascii=False).encode()) == Fault.INVALID


def filled(head: bytes, unit: bytes, tail: bytes) -> Callable[[int], bytes]:
    """Bytes of about the size that is asked for."""
    return lambda size: head + unit * ((size - len(head) - len(tail)) // len(unit)) + tail


STEP_REQUEST: Final = b'{"type":"PaymentRequested","order":'
ORDER: Final = b'{"order_id":"o","currency":"GBP","amount":"1.00","warehouse":"main","lines":['
AMOUNT: Final = b'{"order_id":"o","currency":"GBP","amount":"1'
REST: Final = b'","warehouse":"main","lines":[]}}'
#: Long input of every shape that some part of the decoder might stumble over.
SHAPES: Final = {
    "letters": filled(b'{"type":"', b"x", b'"}'),
    "spaces": filled(b"{", b" ", b"}"),
    "spaces in front": filled(b"", b" ", b"x"),
    "garbage": filled(b"", b"\xff", b""),
    "zeros": filled(b"", b"\0", b""),
    "quotes": filled(b"", b'"', b""),
    "backslashes": filled(b'{"type":"', b"\\\\", b'"}'),
    "open strings": filled(b"", b'{"', b""),
    "escapes": filled(STEP_REQUEST + b'"', b"\\u0034", b'"}'),
    "surrogates": filled(STEP_REQUEST + b'"', b"\\ud83d", b'"}'),
    "lists": filled(STEP_REQUEST + b"[", b"[],", b"[]]}"),
    "objects": filled(STEP_REQUEST + b"[", b"{},", b"{}]}"),
    "open lists": filled(STEP_REQUEST, b"[", b""),
    "ints": filled(STEP_REQUEST + b"[", b"9,", b"9]}"),
    "long ints": filled(STEP_REQUEST + b"[", b"9" * 4_000 + b",", b"9]}"),
    "decimals": filled(STEP_REQUEST + b"[", b"1.5,", b"9]}"),
    "one number": filled(STEP_REQUEST, b"9", b"}"),
    "one decimal": filled(STEP_REQUEST + b"0.", b"9", b"}"),
    "one exponent": filled(STEP_REQUEST + b"1e", b"9", b"}"),
    "digits": filled(STEP_REQUEST + b'"', b"1", b'"}'),
    "digits and dashes": filled(STEP_REQUEST + b'"', b"1-", b'"}'),
    "digits and letters": filled(STEP_REQUEST + b'"', b"4111111111111x-", b'"}'),
    "twelve digits": filled(STEP_REQUEST + b'"', b"411111111111  ", b'"}'),
    "dashes": filled(STEP_REQUEST + b'"4111 ', b"-", b'1111"}'),
    "lines that are right": filled(STEP_REQUEST + ORDER, b'{"sku":"a","quantity":1},', b'{"sku":"b","quantity":1}]}}'),
    "lines that end wrong": filled(STEP_REQUEST + ORDER, b'{"sku":"a","quantity":1},', b'{"sku":"b","quantity":1}]x}}'),
    "a quantity": filled(STEP_REQUEST + ORDER + b'{"sku":"a","quantity":1', b"1", b"}]}}"),
    "an amount": filled(STEP_REQUEST + AMOUNT, b"1", REST),
    "places of an amount": filled(STEP_REQUEST + AMOUNT + b".", b"0", REST),
    "an id": filled(b'{"type":"OrderCompleted","order_id":"', b"a", b'"}'),
    "a reason": filled(b'{"type":"RefundRequested","reason":"', b"a", b'","step":"payment","order":{}}'),
    "an amount by hand": filled(b'{"order_id":1,"amount":"', b"1", b'"}'),
}  # fmt: skip
#: The largest record that people may send; an inbox takes four times as much.
SIZES: Final = (32 * 1024, 256 * 1024)


@pytest.mark.parametrize("shape", SHAPES)
def test_eight_times_the_bytes_take_no_more_than_eight_times_the_work(shape: str) -> None:
    """Quadratic work would take 64 times as long. Generous, since this is a clock: of this process alone, best of 3."""

    def seconds(value: bytes) -> float:
        took = []
        # The collector must not walk through the objects of other tests meanwhile.
        gc.disable()
        try:
            for _ in range(3):
                began = time.process_time()
                fate(value)
                took.append(time.process_time() - began)
        finally:
            gc.enable()
        return min(took)

    small, large = (seconds(SHAPES[shape](size)) for size in SIZES)
    assert large < 32 * max(small, 0.002), f"{small:.4f} s, then {large:.4f} s"
    assert large < 4


@pytest.mark.parametrize("shape", SHAPES)
def test_memory_is_a_multiple_of_the_bytes(shape: str) -> None:
    """Parsed JSON is larger than its text: at most 80 times, for the most wasteful that was found (short names)."""
    value = SHAPES[shape](SIZES[1])
    assert peak_of(value) < 80 * len(value)


def test_memory_is_a_multiple_of_the_bytes_where_every_name_is_another() -> None:
    value = STEP_REQUEST + b"0," + b",".join(b'"%x":0' % each for each in range(80_000)) + b"}"
    assert peak_of(value) < 120 * len(value)


@pytest.mark.parametrize("size", [2, 8, 32])
def test_what_is_larger_than_an_inbox_takes_is_not_even_read(size: int) -> None:
    assert peak_of(STEP_REQUEST.ljust(size * 1024 * 1024)) < 64 * 1024


def test_nothing_is_kept_of_what_was_refused() -> None:
    for bad in CORPUS:
        if bad.value is not None:
            fate(bad.value)
    tracemalloc.start()
    try:
        for bad in CORPUS:
            if bad.value is not None:
                fate(bad.value)
        left = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert left < 256 * 1024


def peak_of(value: bytes) -> int:
    """Bytes that Python holds at most while it refuses these."""
    tracemalloc.start()
    try:
        with pytest.raises(Rejected):
            wire.decode(value)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
