"""`saga replay`, on a real broker: what is sent where, what is recorded, and what is not sent."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from saga_app import topics
from saga_app.commands import replay as command
from saga_app.core.errors import Fault
from saga_app.dead_letters import format as letter_format
from saga_app.dead_letters.format import LetterId
from saga_app.kafka.headers import ACTOR, SENT_ON
from saga_app.kafka.sender import DeliveryUnknown, Sender
from saga_app.operator_log import actor
from saga_app.settings import Settings
from tests.commands.dead_letter_topic import PARTITIONS, DeadLetterTopic, Saga
from tests.support.corpus import CARD, GOOD, spelled

pytestmark = pytest.mark.live

GOOD_ORDER = b'{"order_id": "r1", "amount": 5}'
BAD_ORDER = b'{"order_id": "r1"}'
#: The last header of each record that a command sends to an inbox.
SENDER = (ACTOR, actor(Settings()).encode())


def replayed(dead_letter_topic: DeadLetterTopic, letter: LetterId, topic: str = topics.CHECKOUT) -> list[Any]:
    """The records that were sent for a letter."""
    wanted = (letter_format.REPLAY_OF, str(letter).encode())
    return [each for each in dead_letter_topic.all(topic) if wanted in (each.headers() or ())]


def markers(dead_letter_topic: DeadLetterTopic, letter: LetterId) -> list[Any]:
    return [each for each in dead_letter_topic.all() if letter_format.marked_place(each.headers()) == letter]


def test_a_letter_is_sent_to_its_inbox_as_it_was_and_says_whose_replay_it_is(
    saga: Saga, dead_letter_topic: DeadLetterTopic
):
    letter = dead_letter_topic.put(
        GOOD_ORDER, reason=Fault.UNKNOWN_ORDER, key=b"wrong", headers=(("trace", b"\x01"), ("empty", b""))
    )
    result = saga("replay", str(letter))
    assert result.exit_code == 0, result.stderr
    (message,) = replayed(dead_letter_topic, letter)
    assert (message.key(), message.value()) == (b"r1", GOOD_ORDER)
    assert message.partition() == topics.partition_of("r1", PARTITIONS)
    replay_of = ("saga-replay-of", str(letter).encode())
    assert message.headers() == [("trace", b"\x01"), ("empty", b""), replay_of, SENDER]
    place = f"checkout_events:{message.partition()}:{message.offset()}"
    sent, summary = result.stdout.splitlines()
    assert sent.startswith(f"{letter} sent again as OrderPlaced to {place}; it was refused as unknown_order")
    assert summary == "letters sent again: 1, not sent: 0"


def test_a_replay_is_recorded_behind_the_letter_and_listed_with_it(
    saga: Saga, dead_letter_topic: DeadLetterTopic
):
    letter = dead_letter_topic.put(GOOD_ORDER, key=b"any")
    saga("replay", str(letter))
    (message,) = replayed(dead_letter_topic, letter)
    (marker,) = markers(dead_letter_topic, letter)
    place = f"checkout_events:{message.partition()}:{message.offset()}"
    assert (marker.key(), marker.value()) == (str(letter).encode(), None)
    *others, (name, actor) = marker.headers()
    assert name == "saga-actor" and actor, "its sender fills it in"
    assert others == [
        ("saga-replayed", str(letter).encode()),
        ("saga-sent-sha256", sha256(GOOD_ORDER).hexdigest().encode()),
        ("saga-sent-to", place.encode()),
    ]
    (stored,) = [
        each for each in dead_letter_topic.all() if letter_format.letter_place(each.headers()) == letter
    ]
    assert marker.partition() == stored.partition() and marker.offset() > stored.offset()
    (found,) = [json.loads(line) for line in saga("dead-letters", "--settled", "--json").stdout.splitlines()]
    (told,) = found["replays"]
    assert told.pop("time").startswith("20")
    assert told == {"sha256": sha256(GOOD_ORDER).hexdigest(), "sent_to": [place]}
    assert found["settled"]
    assert "[replayed]" in saga("dead-letters", "--settled").stdout
    assert f"to {place} (sha256 " in saga("dead-letters", str(letter)).stdout
    assert saga("dead-letters").stdout == "no unsettled dead letters\n"


@pytest.mark.slow("several commands")
def test_a_second_replay_needs_force_and_is_recorded_too(saga: Saga, dead_letter_topic: DeadLetterTopic):
    letter = dead_letter_topic.put(GOOD_ORDER)
    assert saga("replay", str(letter)).exit_code == 0
    again = saga("replay", str(letter))
    assert again.exit_code == 1
    assert "was replayed at 20" in again.stderr and "--force" in again.stderr
    assert len(replayed(dead_letter_topic, letter)) == len(markers(dead_letter_topic, letter)) == 1
    assert saga("replay", "--all").stdout == "letters sent again: 0, not sent: 0\n"
    assert saga("replay", str(letter), "--force").exit_code == 0
    assert len(replayed(dead_letter_topic, letter)) == len(markers(dead_letter_topic, letter)) == 2
    assert "[replayed 2 times]" in saga("dead-letters", "--settled").stdout


def test_a_dry_run_says_what_would_be_sent_where_and_sends_nothing(
    saga: Saga, dead_letter_topic: DeadLetterTopic
):
    good = dead_letter_topic.put(GOOD_ORDER, reason=Fault.DIFFERENT_CONTENT)
    bad = dead_letter_topic.put(BAD_ORDER)
    hidden = dead_letter_topic.put(CARD.encode(), reason=Fault.CARD_NUMBER)
    before = [len(dead_letter_topic.all(topic)) for topic in (*topics.INBOXES, topics.DEAD_LETTERS)]
    result = saga("replay", "--all", "--dry-run")
    assert result.exit_code == 1
    place = f"checkout_events:{topics.partition_of('r1', PARTITIONS)}"
    assert result.stdout.splitlines() == [
        f"{good} would be sent again as OrderPlaced to {place}; it was refused as different_content, "
        "and will be again unless that has changed meanwhile",
        "letters that would be sent again: 1, not sent: 2",
    ]
    stays = dict(line.removeprefix("saga: ").split(" is not sent: ") for line in result.stderr.splitlines())
    assert stays.keys() == {str(bad), str(hidden)}
    assert "refused again (invalid: amount is required" in stays[str(bad)]
    assert "only its hash was kept" in stays[str(hidden)] and "--payload" in stays[str(hidden)]
    assert before == [len(dead_letter_topic.all(topic)) for topic in (*topics.INBOXES, topics.DEAD_LETTERS)]


def test_for_machines_a_dry_run_is_one_object_per_letter(saga: Saga, dead_letter_topic: DeadLetterTopic):
    good, bad = (
        dead_letter_topic.put(GOOD_ORDER, key=b"1"),
        dead_letter_topic.put(None, key=b"1", reason=Fault.UNREADABLE),
    )
    result = saga("replay", str(good), str(bad), "--dry-run", "--json")
    assert not result.stderr
    would, stays = (json.loads(line) for line in result.stdout.splitlines())
    partition = topics.partition_of("r1", PARTITIONS)
    assert would == {
        "id": str(good),
        "sent": False,
        "type": "OrderPlaced",
        "to": [f"checkout_events:{partition}"],
        "warning": None,
    }
    assert stays.keys() == {"id", "sent", "reason"}


@pytest.mark.parametrize("how", ["a file", "standard input"])
def test_a_corrected_payload_is_sent_in_its_place(
    saga: Saga, dead_letter_topic: DeadLetterTopic, tmp_path: Path, how: str
):
    letter = dead_letter_topic.put(BAD_ORDER)
    file = tmp_path / "corrected.json"
    file.write_bytes(GOOD_ORDER + b"\n")
    if how == "a file":
        result = saga("replay", str(letter), "--payload", str(file))
    else:
        result = saga("replay", str(letter), "--payload", "-", input=GOOD_ORDER)
    assert result.exit_code == 0, result.stderr
    assert [each.value() for each in replayed(dead_letter_topic, letter)] == [GOOD_ORDER]
    (marker,) = markers(dead_letter_topic, letter)
    assert ("saga-sent-sha256", sha256(GOOD_ORDER).hexdigest().encode()) in marker.headers()


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (BAD_ORDER, "invalid: amount is required"),
        (b"{", "unreadable: "),
        (b"", "unreadable: "),
        (spelled("CancellationRequested", {"order_id": "r1", "note": CARD}), "card_number: "),
        (b" " * 3_000_000, "unreadable: "),
        (b"x" * 3_000_000, "too_large: "),
    ],
    ids=["incomplete", "no JSON", "empty", "a card number", "spaces", "3 MB"],
)
def test_a_corrected_payload_that_would_be_refused_is_not_sent(
    saga: Saga, dead_letter_topic: DeadLetterTopic, payload: bytes, says: str
):
    letter = dead_letter_topic.put(BAD_ORDER)
    result = saga("replay", str(letter), "--payload", "-", input=payload)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"saga: {says}")
    assert CARD not in result.output
    assert not replayed(dead_letter_topic, letter) and not markers(dead_letter_topic, letter)


def test_what_held_a_card_number_can_be_sent_without_it(saga: Saga, dead_letter_topic: DeadLetterTopic):
    value = spelled("CancellationRequested", {"order_id": "r1", "note": CARD})
    letter = dead_letter_topic.put(value, reason=Fault.CARD_NUMBER)
    assert saga("replay", str(letter)).exit_code == 1
    corrected = value.replace(CARD.encode(), b"customer called")
    assert saga("replay", str(letter), "--payload", "-", input=corrected).exit_code == 0
    assert [each.value() for each in replayed(dead_letter_topic, letter)] == [corrected]


def test_a_record_in_the_wrong_partition_goes_to_its_right_one(
    saga: Saga, dead_letter_topic: DeadLetterTopic
):
    """Without the mark that it was sent on once: else it would be a dead letter for ever."""
    wrong = (topics.partition_of("r1", PARTITIONS) + 1) % PARTITIONS
    letter = dead_letter_topic.put(
        GOOD_ORDER, reason=Fault.WRONG_PARTITION, partition=wrong, headers=((SENT_ON, b"1"), ("a", b"b"))
    )
    assert saga("replay", "--reason", "wrong_partition").exit_code == 0
    (message,) = replayed(dead_letter_topic, letter)
    assert message.partition() == topics.partition_of("r1", PARTITIONS)
    assert message.headers() == [("a", b"b"), ("saga-replay-of", str(letter).encode()), SENDER]


def test_a_record_in_the_wrong_inbox_goes_to_its_right_one(saga: Saga, dead_letter_topic: DeadLetterTopic):
    value = spelled("PaymentRequested", GOOD["PaymentRequested"])
    letter = dead_letter_topic.put(value, reason=Fault.UNEXPECTED_RECORD, topic=topics.SHIPPING)
    assert saga("replay", str(letter)).exit_code == 0
    (message,) = replayed(dead_letter_topic, letter, topics.PAYMENT)
    assert (message.key(), message.partition()) == (b"c1", topics.partition_of("c1", PARTITIONS))
    assert not replayed(dead_letter_topic, letter, topics.SHIPPING)


def test_a_change_of_policy_goes_to_the_partition_that_sends_it_to_all(
    saga: Saga, dead_letter_topic: DeadLetterTopic
):
    letter = dead_letter_topic.put(b"{}", topic=topics.PAYMENT, partition=1)
    value = spelled("PolicyChanged", GOOD["PolicyChanged"])
    result = saga("replay", str(letter), "--payload", "-", "--json", input=value)
    found = replayed(dead_letter_topic, letter, topics.PAYMENT)
    places = [f"payment_events:{topics.POLICY_PARTITION}:{each.offset()}" for each in found]
    assert len(places) == 1
    assert json.loads(result.stdout)["to"] == places
    (marker,) = markers(dead_letter_topic, letter)
    assert marker.headers()[2] == ("saga-sent-to", " ".join(places).encode())


@pytest.mark.slow("several commands")
def test_what_fails_again_says_whose_replay_it_is_and_so_does_a_replay_of_that(
    saga: Saga, dead_letter_topic: DeadLetterTopic
):
    first = dead_letter_topic.put(GOOD_ORDER)
    saga("replay", str(first))
    (message,) = replayed(dead_letter_topic, first)
    second = dead_letter_topic.put(
        message.value(), headers=tuple(message.headers()), reason=Fault.DIFFERENT_CONTENT, key=message.key()
    )
    listed = {
        each["id"]: each
        for each in map(json.loads, saga("dead-letters", "--settled", "--json").stdout.splitlines())
    }
    assert listed[str(second)]["replay_of"] == str(first)
    assert listed[str(first)]["replay_of"] is None
    assert f"[replay of {first}]" in saga("dead-letters").stdout
    saga("replay", str(second))
    (again,) = replayed(dead_letter_topic, second)
    assert again.headers() == [("saga-replay-of", str(second).encode()), SENDER]


@pytest.mark.slow("several commands")
def test_filters_send_what_they_choose_and_go_on_behind_what_stays(
    saga: Saga, dead_letter_topic: DeadLetterTopic, monkeypatch: pytest.MonkeyPatch
):
    """In several parts."""
    monkeypatch.setattr(command, "MOST_LETTERS", 7)
    wanted = [
        dead_letter_topic.put(GOOD_ORDER if each % 3 else BAD_ORDER, partition=each % 4) for each in range(30)
    ]
    other = dead_letter_topic.put(GOOD_ORDER, topic=topics.PAYMENT)
    result = saga("replay", "--topic", topics.CHECKOUT, "--since", "1h")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1] == "letters sent again: 20, not sent: 10"
    sent = [letter for letter in wanted if replayed(dead_letter_topic, letter)]
    assert (
        sent
        == [letter for letter in wanted if markers(dead_letter_topic, letter)]
        == [each for number, each in enumerate(wanted) if number % 3]
    )
    assert not replayed(dead_letter_topic, other)


@pytest.mark.slow("several commands")
def test_on_a_terminal_it_asks_before_many_are_sent(
    saga: Saga, dead_letter_topic: DeadLetterTopic, monkeypatch: pytest.MonkeyPatch
):
    letters = [dead_letter_topic.put(GOOD_ORDER) for _ in range(3)]
    monkeypatch.setattr(command, "_on_a_terminal", lambda: True)
    refused = saga("replay", "--all", input="n\n")
    assert refused.exit_code == 130
    assert "Send 3 dead letters again? [y/N]" in refused.stderr
    assert not any(replayed(dead_letter_topic, letter) for letter in letters)
    assert saga("replay", "--all", input="y\n").exit_code == 0
    assert saga("replay", "--all", "--force", "--yes").exit_code == 0
    assert saga("replay", str(letters[0]), "--force").exit_code == 0
    assert [len(replayed(dead_letter_topic, letter)) for letter in letters] == [3, 2, 2]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("", "--all"),
        ("--all --payload -", "give its ID"),
        ("payment_events:0:1 payment_events:0:2 --payload -", "for one letter"),
        ("payment_events:0", "is not a dead letter's id"),
        ("payment_events:0:1 --payload no-such-file", "no-such-file"),
    ],
)
def test_wrong_input_is_refused_in_one_line(saga: Saga, options: str, says: str):
    result = saga("replay", *options.split())
    assert result.exit_code == 2
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_if_one_id_is_wrong_nothing_is_sent(saga: Saga, dead_letter_topic: DeadLetterTopic):
    letter = dead_letter_topic.put(GOOD_ORDER)
    result = saga("replay", str(letter), "payment_events:0:1")
    assert result.exit_code == 1
    assert "no dead letter is payment_events:0:1;" in result.stderr
    assert not replayed(dead_letter_topic, letter)


class CommandCutOff(Exception):
    """The command ends here."""


def test_a_crash_between_sending_and_recording_loses_nothing(
    saga: Saga, dead_letter_topic: DeadLetterTopic, monkeypatch: pytest.MonkeyPatch
):
    """The record is there, and the letter still counts as not replayed: it is sent once more, not forgotten."""
    letter = dead_letter_topic.put(GOOD_ORDER)
    post = Sender.post

    def cut(self: Sender, records: Any) -> Any:
        records = list(records)
        if records[0].topic == topics.DEAD_LETTERS:
            raise CommandCutOff
        return post(self, records)

    with monkeypatch.context() as patch:
        patch.setattr(Sender, "post", cut)
        assert isinstance(saga("replay", str(letter)).exception, CommandCutOff)
    assert len(replayed(dead_letter_topic, letter)) == 1
    assert saga("replay", "--all").exit_code == 0
    assert (len(replayed(dead_letter_topic, letter)), len(markers(dead_letter_topic, letter))) == (2, 1)


@pytest.mark.parametrize(
    ("topic", "says"),
    [(topics.CHECKOUT, "the same command sends them again"), (topics.DEAD_LETTERS, "not recorded")],
)
def test_when_the_broker_does_not_answer_it_says_what_that_means(
    saga: Saga, dead_letter_topic: DeadLetterTopic, monkeypatch: pytest.MonkeyPatch, topic: str, says: str
):
    letter = dead_letter_topic.put(GOOD_ORDER)
    post = Sender.post

    def unsure(self: Sender, records: Any) -> Any:
        records = list(records)
        if records[0].topic == topic:
            raise DeliveryUnknown("no answer")
        return post(self, records)

    monkeypatch.setattr(Sender, "post", unsure)
    result = saga("replay", str(letter))
    assert result.exit_code == 1
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_step_request_as_large_as_they_come_can_be_sent_again(
    saga: Saga, dead_letter_topic: DeadLetterTopic
):
    lines = [{"sku": f"{each:064}", "quantity": 1_000_000} for each in range(2_000)]
    order = {**GOOD["OrderPlaced"], "order_id": "a" * 64, "lines": lines}
    value = spelled("PaymentRequested", {"order": order}).ljust(1024 * 1024 - 1024)
    letter = dead_letter_topic.put(value, topic=topics.PAYMENT, reason=Fault.UNEXPECTED_RECORD)
    result = saga("replay", str(letter))
    assert result.exit_code == 0, result.stderr
    assert [each.value() for each in replayed(dead_letter_topic, letter, topics.PAYMENT)] == [value]
