"""A dead letter has the original, the reason why it could not be applied, and its place."""

from collections.abc import Sequence
from hashlib import sha256

import pytest

from saga_app import topics
from saga_app.core.errors import Fault, Rejected
from saga_app.core.numbers import Offset
from saga_app.dead_letters.format import (
    HEAD,
    MOST_BRIEF_BYTES,
    MOST_HEADER_BYTES,
    MOST_KEY_BYTES,
    MOST_RECORD_BYTES,
    MOST_VALUE_BYTES,
    Headers,
    LetterId,
    dead_letter,
    letter_place,
    marked_place,
    marker,
    replay_of,
)
from saga_app.kafka.headers import too_many
from saga_app.kafka.messages import Header, Message, Outgoing
from tests.support.corpus import CARD, CARDS, CORPUS, NOT_CARDS

WHY = Rejected(Fault.INVALID, "amount: £5 is no amount")


def letter(value: bytes | None, key: bytes | None = b"k", headers: Sequence[Header] = ()) -> Outgoing:
    return dead_letter("checkout_events", 3, Message(Offset(7), 1_700_000_000_123, key, value, headers), WHY)


def hashed(value: bytes) -> bytes:
    return b"sha256:" + sha256(value).hexdigest().encode()


def test_it_has_the_original_bytes_key_and_headers() -> None:
    dead = letter(b"\xff\x00 not a record", b"\xfe", (("trace", b"\x01"), ("trace", b"\x02")))
    assert (dead.topic, dead.key, dead.value) == ("dead_letters", b"\xfe", b"\xff\x00 not a record")
    assert list(dead.headers)[:2] == [("trace", b"\x01"), ("trace", b"\x02")]


def test_it_says_why_and_where_from_and_when() -> None:
    assert list(letter(b"x").headers) == [
        ("saga-reason", b"invalid"),
        ("saga-detail", "amount: £5 is no amount".encode()),
        ("saga-topic", b"checkout_events"),
        ("saga-partition", b"3"),
        ("saga-offset", b"7"),
        ("saga-time", b"1700000000123"),
    ]


def test_a_null_value_and_a_null_key_stay_null() -> None:
    dead = letter(None, None)
    assert (dead.key, dead.value) == (None, None)


def test_a_header_without_a_value_is_no_reason_to_stop() -> None:
    dead = letter(b"x", headers=(("empty", None),))
    assert next(iter(dead.headers)) == ("empty", b"")


@pytest.mark.parametrize("text", CARDS)
def test_a_card_number_is_replaced_by_a_hash_wherever_it_stands(text: str) -> None:
    raw = text.encode()
    for value in (raw, b'{"note":"%s"}' % raw, b'{"note":"%s"' % raw, b"\xff " + raw):
        dead = letter(value, raw, (("card", raw),))
        assert (dead.key, dead.value) == (hashed(raw), hashed(value))
        assert next(iter(dead.headers)) == ("card", hashed(raw))


def test_a_card_number_in_escapes_is_found_too() -> None:
    value = b'{"note":"%s"}' % "".join(f"\\u{ord(digit):04x}" for digit in CARD).encode()
    assert letter(value).value == hashed(value)


@pytest.mark.parametrize("text", NOT_CARDS)
def test_other_numbers_stay(text: str) -> None:
    assert letter(text.encode()).value == text.encode()


def test_an_id_that_is_a_card_number_is_hidden() -> None:
    value = b'{"order_id":"%s","amount":-1}' % CARD.encode()
    kept = letter(value).value
    assert kept is not None and kept.startswith(b"sha256:")


def test_headers_that_are_too_large_are_dropped_and_it_says_so() -> None:
    """`dead_letters` takes larger records than the inboxes, but not without end."""
    dead = letter(b"x", headers=(("big", b"y" * MOST_HEADER_BYTES), ("small", b"z")))
    dropped = MOST_HEADER_BYTES + len("big") + len("small") + 1
    assert next(iter(dead.headers)) == ("saga-headers-dropped", str(dropped).encode())
    assert "big" not in dict(dead.headers)


def test_what_is_larger_than_its_topic_takes_is_kept_as_its_hash() -> None:
    """Compressed it may have passed; as a dead letter it would not, and the worker would stop at it for ever."""
    value, key = b"x" * (MOST_VALUE_BYTES + 1), b"k" * (MOST_KEY_BYTES + 1)
    dead = letter(value, key)
    assert (dead.value, dead.key) == (hashed(value), hashed(key))
    assert letter(value[1:], key[1:])[1:3] == (key[1:], value[1:])


@pytest.mark.parametrize(
    ("fault", "most"),
    [
        (Fault.UNREADABLE, MOST_VALUE_BYTES),
        (Fault.INVALID, MOST_VALUE_BYTES),
        (Fault.TOO_LARGE, MOST_VALUE_BYTES),
        (Fault.CONTRADICTION, MOST_RECORD_BYTES),
        (Fault.DIFFERENT_CONTENT, MOST_RECORD_BYTES),
    ],
)
def test_a_record_that_was_read_is_kept_up_to_what_an_inbox_takes(fault: Fault, most: int) -> None:
    for value, kept in ((b"x" * most, b"x" * most), (b"x" * (most + 1), hashed(b"x" * (most + 1)))):
        message = Message(Offset(7), 5, None, value)
        assert dead_letter("checkout_events", 3, message, Rejected(fault, "why")).value == kept


def test_of_what_is_not_kept_the_head_is_there_and_no_digits_at_its_end() -> None:
    """They may be the beginning of a card number."""
    head = b'{"order_id":"o-17","note":"'
    value = head + b"4111 1111 1111 " * MOST_VALUE_BYTES
    assert dict(letter(value).headers)[HEAD] == head
    assert dict(letter(b"1" * (MOST_VALUE_BYTES + 1)).headers)[HEAD] == b""
    words = b"word " * MOST_VALUE_BYTES
    assert dict(letter(words).headers)[HEAD] == words[:MOST_BRIEF_BYTES].rstrip()
    card = b'{"note":"%s"}' % CARD.encode() + words
    assert CARD not in repr(letter(card).headers)
    assert HEAD not in dict(letter(b"x").headers)


def test_a_brief_letter_keeps_a_kibibyte_of_everything() -> None:
    def brief(value: bytes, key: bytes = b"k", headers: Headers = ()) -> Outgoing:
        message = Message(Offset(7), 5, key, value, headers)
        return dead_letter("checkout_events", 3, message, Rejected(Fault.INVALID, "why"), brief=True)

    small, large = b"x" * MOST_BRIEF_BYTES, b"x" * (MOST_BRIEF_BYTES + 1)
    assert brief(small).value == small and brief(large).value == hashed(large)
    assert brief(b"x", large).key == hashed(large)
    again = (("saga-replay-of", b"checkout_events:3:7"), ("big", large))
    assert [name for name, _ in brief(b"x", b"k", again).headers][:2] == [
        "saga-replay-of",
        "saga-headers-dropped",
    ]


def test_a_record_that_was_not_read_whole_is_a_letter_without_a_value() -> None:
    message = Message(Offset(7), 5, None, None, (too_many(99_999),))
    dead = dead_letter("checkout_events", 3, message, Rejected(Fault.TOO_LARGE, "99999 headers"))
    assert (dead.key, dead.value) == (None, None)
    assert letter_place(dead.headers) == PLACE
    assert len(dead.headers) == 6


def test_a_card_number_in_the_name_of_a_header_is_not_kept() -> None:
    assert CARD not in repr(letter(b"x", headers=((CARD, b"1"),)))


@pytest.mark.parametrize("bad", CORPUS, ids=lambda bad: bad.name[:60].encode("ascii", "replace").decode())
def test_every_kind_of_bad_input_can_be_kept(bad: object) -> None:
    dead = letter(bad.value)  # type: ignore[attr-defined]
    assert CARD.encode() not in (dead.value or b"")


PLACE = LetterId("checkout_events", 3, 7)


def test_a_letter_tells_which_one_it_is_whatever_headers_its_original_had() -> None:
    """Also where they are named as ours: ours stand last."""
    for headers in (
        (),
        (("saga-topic", b"payment_events"), ("saga-offset", b"1")),
        tuple(letter(b"x").headers),
        tuple(marker(PLACE, 0, b"x", [PLACE]).headers),
        (("saga-replayed", b"payment_events:1:1"),),
    ):
        dead = letter(b"x", headers=headers)
        assert letter_place(dead.headers) == PLACE
        assert marked_place(dead.headers) is None


def test_a_marker_is_no_letter_and_tells_which_letter_was_sent_where() -> None:
    mark = marker(PLACE, 5, b"x", [LetterId("payment_events", 0, 9), LetterId("payment_events", 1, 4)])
    assert (mark.topic, mark.partition, mark.key, mark.value) == (
        "dead_letters",
        5,
        b"checkout_events:3:7",
        None,
    )
    assert letter_place(mark.headers) is None
    assert marked_place(mark.headers) == PLACE
    assert list(mark.headers) == [
        ("saga-replayed", b"checkout_events:3:7"),
        ("saga-sent-sha256", sha256(b"x").hexdigest().encode()),
        ("saga-sent-to", b"payment_events:0:9 payment_events:1:4"),
        ("saga-actor", b""),
    ]


OWN = letter(b"x").headers


@pytest.mark.parametrize(
    "headers",
    [
        None,
        (),
        OWN[1:],
        (*OWN, ("more", b"")),
        (*OWN[:2], ("saga-topic", b"other"), *OWN[3:]),
        (*OWN[:4], ("saga-offset", b"-1"), OWN[5]),
        (*OWN[:4], ("saga-offset", None), OWN[5]),
        (*OWN[:4], ("saga-offset", "\u0667".encode()), OWN[5]),
        (*OWN[:2], ("saga-topic", b"checkout_events:1"), *OWN[3:]),
        (("saga-replayed", b"hello"),),
        (("saga-replayed", None),),
        (("other", b"x"), ("saga-replayed", b"checkout_events:3:7")),
    ],
)
def test_what_is_not_exactly_ours_is_neither(headers: Headers | None) -> None:
    assert letter_place(headers) is None
    assert marked_place(headers) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "checkout_events:3",
        "checkout_events:3:7 ",
        "dead_letters:3:7",
        "checkout_events:+3:7",
        "checkout_events:3:7:",
    ],
)
def test_an_id_is_written_in_one_way_only(text: str) -> None:
    assert LetterId.parse(str(PLACE)) == PLACE
    assert LetterId.parse(text) is None


def test_a_replay_that_fails_again_says_so_even_where_its_headers_are_too_large() -> None:
    again = ("saga-replay-of", b"checkout_events:3:7")
    for more in ((), (("big", b"y" * MOST_HEADER_BYTES),)):
        dead = letter(b"x", headers=(*more, again))
        assert replay_of(dead.headers) == PLACE
    assert replay_of([("saga-replay-of", b"nonsense")]) is None


@pytest.mark.parametrize("text", ["payment_events:3:120", "payment_events[3]@120"])
def test_a_place_is_read_as_we_write_it_and_as_other_tools_do(text: str) -> None:
    found = LetterId.parse(text)
    assert found == LetterId(topics.PAYMENT, 3, 120) and str(found) == "payment_events:3:120"


@pytest.mark.parametrize(
    "text", ["payment_events[3]:120", "payment_events:3@120", "payment_events[3]@", "x[1]@2"]
)
def test_a_mixture_of_both_is_no_place(text: str) -> None:
    assert LetterId.parse(text) is None
