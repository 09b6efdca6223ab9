"""A replay signs a record that only services send, if one had signed it or if somebody vouches for it."""

from pathlib import Path

import pytest

from saga_app import topics, wire
from saga_app.core.errors import Fault, Rejected
from saga_app.core.records import Record
from saga_app.dead_letters import replay
from saga_app.dead_letters.format import dead_letter
from saga_app.dead_letters.letter import Letter, read_letter
from saga_app.dead_letters.replay import NotReplayable, ReplayPlan
from saga_app.kafka.messages import Message
from saga_app.kafka.signatures import SIGNATURE, Signatures
from tests.audit.world import Written
from tests.support.examples import limit, order, placed, refund
from tests.support.signing import INTERNAL, OLD, signatures, written

FORGED = refund(order("unused"))


@pytest.fixture
def ours(tmp_path: Path) -> Signatures:
    return signatures(tmp_path)


def letter_of(message: Message, fault: Fault, topic: str = topics.PAYMENT) -> Letter:
    """The letter as a worker writes it and a command reads it."""
    sent = dead_letter(topic, 0, message, Rejected(fault, "why"))
    stored = Written(message.offset, message.time + 5, sent.key, sent.value, sent.headers)
    stored.partition = lambda: 0  # type: ignore[attr-defined]
    found = read_letter(stored)  # type: ignore[arg-type]
    assert found is not None
    return found


def planned(letter: Letter, by: Signatures | None, *, vouched: bool = False) -> ReplayPlan:
    return replay.plan(letter, [], 1, signatures=by, vouched=vouched)


def is_taken(plan: ReplayPlan, by: Signatures) -> bool:
    """True if a worker takes the record of this replay as signed."""
    (sent,) = plan.sends
    message = written(sent, None)
    return by.fault(message, sent.topic, sent.partition or 0) is None


@pytest.mark.parametrize("record", INTERNAL, ids=lambda record: f"{record.type} {topics.topic_of(record)}")
def test_a_forged_record_is_not_signed_by_a_replay(record: Record, ours: Signatures) -> None:
    letter = letter_of(written(record, None), Fault.NOT_SIGNED, topics.topic_of(record))
    with pytest.raises(NotReplayable, match="anybody may have written it"):
        planned(letter, ours)
    assert is_taken(planned(letter, ours, vouched=True), ours)


@pytest.mark.parametrize("fault", [Fault.CONTRADICTION, Fault.INVALID, Fault.DIFFERENT_CONTENT])
def test_a_forged_record_that_was_refused_for_another_reason_is_not_signed_either(
    fault: Fault, ours: Signatures
) -> None:
    """A later version may be able to read it, and the replay would make it a record of ours."""
    with pytest.raises(NotReplayable, match="anybody may have written it"):
        planned(letter_of(written(FORGED, None), fault), ours)


def test_a_record_that_a_service_signed_is_signed_anew(ours: Signatures, tmp_path: Path) -> None:
    """Also with the key that signs now, where an older one signed it."""
    letter = letter_of(written(FORGED, ours), Fault.UNKNOWN_ORDER)
    plan = planned(letter, ours)
    assert is_taken(plan, ours)
    assert [name for name, _ in plan.sends[0].headers] == ["saga-replay-of", SIGNATURE]
    newer = signatures(tmp_path, OLD, "new " + "ab" * 32)
    again = planned(letter, newer).sends[0]
    assert (dict(again.headers)[SIGNATURE] or b"").startswith(b"old:")


@pytest.mark.parametrize("record", [placed("o1"), limit("p", "1.00")], ids=lambda record: record.type)
@pytest.mark.parametrize("keys", [True, False])
def test_a_record_of_people_is_sent_again_without_a_signature(
    record: Record, keys: bool, ours: Signatures
) -> None:
    letter = letter_of(written(record, None), Fault.UNKNOWN_ORDER, topics.topic_of(record))
    plan = planned(letter, ours if keys else None)
    assert [name for name, _ in plan.sends[0].headers] == ["saga-replay-of"]


def test_without_keys_a_record_that_is_not_signed_is_not_sent_again() -> None:
    with pytest.raises(NotReplayable, match="set SAGA_SIGNING_KEYS here"):
        planned(letter_of(written(FORGED, None), Fault.NOT_SIGNED), None)


def test_a_corrected_record_of_services_needs_somebody_who_vouches_for_it(ours: Signatures) -> None:
    letter, value = letter_of(written(FORGED, ours), Fault.INVALID), wire.encode(FORGED)
    with pytest.raises(NotReplayable, match="--sign signs it"):
        replay.plan(letter, [], 1, value, signatures=ours)
    assert is_taken(replay.plan(letter, [], 1, value, signatures=ours, vouched=True), ours)
