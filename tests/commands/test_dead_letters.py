"""`saga dead-letters`, on a real broker."""

import json
import time
import tracemalloc
from base64 import b64decode
from typing import Any

import pytest

from saga_app import topics
from saga_app.core.errors import Fault, Rejected
from saga_app.core.numbers import Offset
from saga_app.dead_letters import format as letter_format
from saga_app.dead_letters.format import LetterId, dead_letter
from saga_app.dead_letters.reader import Letterbox
from saga_app.kafka import chunks
from saga_app.kafka.messages import Message, Outgoing
from tests.commands.dead_letter_topic import DeadLetterTopic, Saga
from tests.support.corpus import CARD

pytestmark = pytest.mark.live


def listed(saga: Saga, *options: str) -> list[dict[str, Any]]:
    result = saga("dead-letters", "--json", *options)
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def ids(saga: Saga, *options: str) -> set[str]:
    found = [each["id"] for each in listed(saga, *options)]
    assert len(found) == len(set(found))
    return set(found)


def test_without_any_it_says_so(saga: Saga, dead_letter_topic: DeadLetterTopic):
    result = saga("dead-letters")
    assert (result.exit_code, result.stdout) == (0, "no unsettled dead letters\n")
    assert listed(saga) == []


def test_a_letter_is_one_line_with_its_id_time_reason_key_and_detail(
    saga: Saga, dead_letter_topic: DeadLetterTopic
):
    letter = dead_letter_topic.put(b'{"order_id": 1}', detail="amount is required", key=b"1", partition=3)
    result = saga("dead-letters")
    head, line = result.stdout.splitlines()
    assert head.split() == ["id", "set", "aside", "(UTC)", "reason", "key", "detail"]
    assert line.startswith(f"{letter}  20")
    assert line.split()[3:] == ["invalid", "1", "amount", "is", "required"]
    assert "unsettled dead letters: 1 (1 invalid)" in result.stderr.splitlines()


def test_for_machines_it_has_everything_that_the_letter_has(saga: Saga, dead_letter_topic: DeadLetterTopic):
    letter = dead_letter_topic.put(
        b'{"order_id": 1}', key=b"1", headers=(("trace", b"\xff"), ("from", b"web"))
    )
    (found,) = listed(saga)
    assert found.pop("time").startswith("20")
    assert found == {
        "id": str(letter),
        "topic": topics.CHECKOUT,
        "partition": 0,
        "offset": letter.offset,
        "reason": "invalid",
        "detail": "amount: Field required",
        "sent": "2023-11-14T22:13:20.000Z",
        "key": "1",
        "value": '{"order_id": 1}',
        "hidden": False,
        "headers": [{"name": "trace", "value_base64": "/w=="}, {"name": "from", "value": "web"}],
        "replay_of": None,
        "replays": [],
        "dismissals": [],
        "settled": False,
    }


def test_bytes_that_are_no_utf_8_are_given_in_base64_and_null_stays_null(
    saga: Saga, dead_letter_topic: DeadLetterTopic
):
    dead_letter_topic.put(b"\xff\x00", key=None, topic=topics.PAYMENT)
    dead_letter_topic.put(None, key=b"\xfe", topic=topics.SHIPPING)
    found = {each["topic"]: each for each in listed(saga)}
    assert b64decode(found[topics.PAYMENT]["value_base64"]) == b"\xff\x00"
    assert found[topics.PAYMENT]["key"] is None
    assert b64decode(found[topics.SHIPPING]["key_base64"]) == b"\xfe"
    assert found[topics.SHIPPING]["value"] is None


def test_a_letter_that_was_written_twice_is_one_letter(saga: Saga, dead_letter_topic: DeadLetterTopic):
    """A worker that is killed between publishing and committing writes it again; without a key, anywhere."""
    again = dead_letter(
        topics.PAYMENT, 2, Message(Offset(7), 1, None, b"x"), Rejected(Fault.UNREADABLE, "not JSON")
    )
    dead_letter_topic.post(*(again._replace(partition=each) for each in (0, 1, 1)))
    assert ids(saga) == {"payment_events:2:7"}
    assert "dead letters: 1 (1 unreadable)\n" in saga("dead-letters").stderr


def test_what_no_worker_wrote_is_not_a_letter(saga: Saga, dead_letter_topic: DeadLetterTopic):
    dead_letter_topic.post(
        Outgoing(topics.DEAD_LETTERS, b"k", b"hello"),
        Outgoing(topics.DEAD_LETTERS, b"k", b"x", headers=((letter_format.REASON, b"invalid"),)),
    )
    assert listed(saga) == []


def test_headers_of_the_original_do_not_pass_for_our_own(saga: Saga, dead_letter_topic: DeadLetterTopic):
    forged = (
        (letter_format.REPLAYED, b"payment_events:1:1"),
        (letter_format.REASON, b"contradiction"),
        (letter_format.TOPIC, topics.PAYMENT.encode()),
        (letter_format.OFFSET, b"5"),
    )
    letter = dead_letter_topic.put(b"x", reason=Fault.UNREADABLE, headers=forged)
    (found,) = listed(saga)
    assert (found["id"], found["reason"], found["topic"]) == (str(letter), "unreadable", topics.CHECKOUT)


@pytest.fixture
def four(dead_letter_topic: DeadLetterTopic) -> list[LetterId]:
    return [
        dead_letter_topic.put(b'{"order_id": 1, "amount": 4711}', key=None),
        dead_letter_topic.put(b"{4711, broken", reason=Fault.UNREADABLE, key=None),
        dead_letter_topic.put(
            b'{"order": {"order_id": "4711"}}', topic=topics.PAYMENT, reason=Fault.UNKNOWN_ORDER
        ),
        dead_letter_topic.put(None, topic=topics.SHIPPING, reason=Fault.UNREADABLE, key=b"4711"),
    ]


@pytest.mark.parametrize(
    ("options", "which"),
    [
        ("--reason unreadable", [1, 3]),
        ("--reason unreadable --reason invalid", [0, 1, 3]),
        ("--reason no-such-reason", []),
        ("--topic payment_events", [2]),
        ("--topic payment_events --topic shipping_events", [2, 3]),
        ("--reason unreadable --topic shipping_events", [3]),
        ("--order 4711", [1, 2, 3]),
        ("--order 1", [0]),
        ("--order 47", []),
        ("--since 1h", [0, 1, 2, 3]),
        ("--until 1h", []),
        ("--since 2999-01-01", []),
        ("--until 2999-01-01T00:00:00+02:00", [0, 1, 2, 3]),
    ],
)
def test_filters_choose_letters(saga: Saga, four: list[LetterId], options: str, which: list[int]):
    """An amount is no order; in what cannot be read the id as a word is enough."""
    assert ids(saga, *options.split()) == {str(four[each]) for each in which}


def test_the_newest_come_first_as_many_as_were_asked_for(saga: Saga, dead_letter_topic: DeadLetterTopic):
    letters = []
    for each in range(5):
        letters.append(str(dead_letter_topic.put(b"x", partition=each % 4)))
        # The broker's time has milliseconds: within one of them, two partitions have no order.
        time.sleep(0.002)
    result = saga("dead-letters", "--limit", "2")
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["id", *letters[:2:-1]]
    assert "; 2 are shown, --limit 0 shows all" in result.stderr
    behind = saga("dead-letters", "-o", "name", "--limit", "2", "--after", letters[3])
    assert behind.stdout.splitlines() == letters[2:0:-1]
    assert [each["id"] for each in listed(saga, "--limit", "3")] == letters[:1:-1]


def test_all_are_listed_in_the_order_of_the_log(saga: Saga, dead_letter_topic: DeadLetterTopic):
    letters = [str(dead_letter_topic.put(b"x", key=b"the same")) for _ in range(60)]
    assert [each["id"] for each in listed(saga)] == letters
    assert len(saga("dead-letters").stdout.splitlines()) == 51
    assert len(saga("dead-letters", "--limit", "0").stdout.splitlines()) == 61


def test_they_are_counted_by_inbox_and_reason(saga: Saga, four: list[LetterId]):
    result = saga("dead-letters", "--count")
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["letters", "inbox", "reason"],
        ["1", "checkout_events", "invalid"],
        ["1", "checkout_events", "unreadable"],
        ["1", "payment_events", "unknown_order"],
        ["1", "shipping_events", "unreadable"],
    ]
    assert "unsettled dead letters: 4 (2 unreadable, " in result.stderr
    assert listed(saga, "--count", "--reason", "invalid") == [
        {"topic": "checkout_events", "reason": "invalid", "number": 1}
    ]


def test_one_is_shown_whole_with_its_bytes_set_out(saga: Saga, dead_letter_topic: DeadLetterTopic):
    letter = dead_letter_topic.put(
        b'{"order_id":1,"amount":1.00,"lines":[{"sku":"{,}"}]}', key=None, headers=(("trace", b"t1"),)
    )
    result = saga("dead-letters", str(letter))
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == str(letter)
    assert "  header     trace: t1" in lines
    assert "  key        (none)" in lines
    assert lines[lines.index("{") :] == [
        "{",
        '  "order_id": 1,',
        '  "amount": 1.00,',
        '  "lines": [',
        "    {",
        '      "sku": "{,}"',
        "    }",
        "  ]",
        "}",
    ]


def test_bytes_that_are_no_text_are_shown_in_hexadecimal(saga: Saga, dead_letter_topic: DeadLetterTopic):
    letter = dead_letter_topic.put(b"\xff\x1b[31mred")
    last = saga("dead-letters", str(letter)).stdout.splitlines()[-1]
    assert last == f"00000000  {'ff 1b 5b 33 31 6d 72 65 64':<47}  ..[31mred"


def test_a_card_number_was_never_kept_and_it_says_so(saga: Saga, dead_letter_topic: DeadLetterTopic):
    letter = dead_letter_topic.put(b'{"order_id":"1","note":"%s"}' % CARD.encode(), reason=Fault.CARD_NUMBER)
    result = saga("dead-letters", str(letter))
    assert "only the hash of a value that held a card number" in result.stdout
    assert listed(saga)[0]["hidden"] is True
    assert CARD not in result.stdout + saga("dead-letters", "--json").stdout


def test_an_id_that_no_letter_has_is_named(saga: Saga, dead_letter_topic: DeadLetterTopic):
    result = saga("dead-letters", "payment_events:0:1")
    assert result.exit_code == 1
    assert "no dead letter is payment_events:0:1" in result.stderr


@pytest.mark.parametrize(
    "options",
    ["1", "no_inbox:0:1", "payment_events:x:1", "--since yesterday", "--topic orders", "--limit -1"],
)
def test_wrong_input_is_refused_in_one_line(saga: Saga, options: str):
    result = saga("dead-letters", *options.split())
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1


def test_a_topic_that_is_missing_is_named(saga: Saga, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(topics, "DEAD_LETTERS", "not_there")
    result = saga("dead-letters")
    assert result.exit_code == 1
    assert "not_there" in result.stderr and "saga topics --create" in result.stderr


def test_a_large_topic_passes_by_in_bounded_memory(
    dead_letter_topic: DeadLetterTopic, saga: Saga, monkeypatch: pytest.MonkeyPatch
):
    """64 MiB of letters; what the client fetches ahead is not Python's memory, but it is bounded too."""
    monkeypatch.setattr(chunks, "AHEAD", 1_024)
    for number in range(64):
        dead_letter_topic.put(b"\xff" * 1024 * 1024, partition=number % 4)
    source = Letterbox(dead_letter_topic.settings)
    tracemalloc.start()
    try:
        count = sum(1 for _ in source.letters())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 64
    assert peak < 16 * 1024 * 1024


def test_a_dismissed_letter_is_settled_and_shown_on_request_with_its_note(
    saga: Saga, dead_letter_topic: DeadLetterTopic
):
    letter, other = dead_letter_topic.put(b"x"), dead_letter_topic.put(b"y")
    result = saga("dead-letters", "dismiss", str(letter), "--note", "a test of ours")
    assert (result.exit_code, result.stdout) == (0, f"{letter} dismissed: a test of ours\n")
    assert [each["id"] for each in listed(saga)] == [str(other)]
    assert "unsettled dead letters: 1 (1 invalid)\n" in saga("dead-letters", "--count").stderr
    (found,) = [each for each in listed(saga, "--settled") if each["id"] == str(letter)]
    assert found["settled"] and [each["note"] for each in found["dismissals"]] == ["a test of ours"]
    assert "a test of ours" in saga("dead-letters", str(letter)).stdout
    refused = saga("replay", str(letter))
    assert refused.exit_code == 1 and "it was dismissed at" in refused.stderr


def test_a_letter_is_dismissed_once_however_often_that_is_asked_for(
    saga: Saga, dead_letter_topic: DeadLetterTopic
):
    letter = dead_letter_topic.put(b"x")
    assert saga("dead-letters", "dismiss", str(letter), "--note", "first").exit_code == 0
    before = len(dead_letter_topic.all())
    again = saga("dead-letters", "dismiss", str(letter), "--note", "second")
    assert again.exit_code == 0 and "it was settled before: dismissed at" in again.stdout
    assert again.stdout.endswith(": first\n")
    assert len(dead_letter_topic.all()) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("checkout_events:0:999", "--note", "x"), "no dead letter is checkout_events:0:999"),
        (("checkout_events:0:999",), "--note"),
        (("--note", "x"), "ID..."),
        (("checkout_events:0:999", "--note", "4111 1111 1111 1111"), "card number"),
        (("checkout_events:0:999", "--note", "x" * 201), "1 to 200 characters"),
    ],
)
def test_a_dismissal_without_a_letter_or_a_fit_note_writes_nothing(
    saga: Saga, dead_letter_topic: DeadLetterTopic, arguments: tuple[str, ...], words: str
):
    before = len(dead_letter_topic.all())
    result = saga("dead-letters", "dismiss", *arguments)
    assert result.exit_code and words in result.stderr
    assert len(dead_letter_topic.all()) == before
