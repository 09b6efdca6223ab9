"""Plans the replay of a dead letter: the records to send, where they go, and a warning. Pure.

A replay is sent first and marked afterwards. After a crash between the two, the letter may be sent once more; that
changes nothing, since every effect has an identity. The other sequence could mark a letter that was never sent: it
would be lost without a trace.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from saga_app import topics, wire
from saga_app.core.errors import Fault, Rejected
from saga_app.core.numbers import Offset
from saga_app.core.records import FROM_PEOPLE, PolicyChanged, Record
from saga_app.dead_letters import format as letter_format
from saga_app.dead_letters.format import LetterId
from saga_app.dead_letters.letter import Letter, Settlement
from saga_app.kafka.headers import HEADERS_DROPPED, SENT_ON
from saga_app.kafka.messages import Message, Outgoing
from saga_app.kafka.signatures import Signatures

#: Faults that depend on the rows of the tables, not on the bytes.
_OF_THE_STATE: Final = frozenset({Fault.DIFFERENT_CONTENT, Fault.UNKNOWN_ORDER, Fault.CONTRADICTION})
#: Headers that a replay drops: they were added on the way. Those of the original are kept.
_OURS: Final = frozenset({SENT_ON, letter_format.REPLAY_OF, letter_format.HEAD, HEADERS_DROPPED})


class ReplayPlan(NamedTuple):
    """A letter, the records that its replay sends, and a warning for the person who sends it."""

    letter: Letter
    value: bytes
    record: Record
    sends: tuple[Outgoing, ...]
    warning: str | None = None


class NotReplayable(Exception):
    """The letter must not be sent again; the message says why and what to do."""


def plan(
    letter: Letter,
    settled: Sequence[Settlement],
    partitions: int,
    corrected: bytes | None = None,
    force: bool = False,
    signatures: Signatures | None = None,
    vouched: bool = False,
) -> ReplayPlan:
    """Plans a replay. Raises `NotReplayable`, and `Rejected` if the corrected payload is refused.

    A record that only services send is signed anew. If none has signed it, somebody must have `vouched` for it.
    """
    if settled and not force:
        raise NotReplayable(f"it was {settled[-1].in_words()}; --force sends it again")
    if corrected is not None:
        record = wire.decode(corrected)
        _must_be_vouched(letter, record, signatures, vouched, is_theirs=True)
        return ReplayPlan(
            letter, corrected, record, _sends(letter, corrected, record, partitions, signatures)
        )
    if letter.is_hidden:
        raise NotReplayable(
            "it held a card number, was too large, or came among too many, and only its hash was kept; send it "
            "corrected: --payload FILE"
        )
    value = letter.value
    try:
        record = wire.decode(value)
    except Rejected as error:
        raise NotReplayable(
            f"it would be refused again ({error.fault}: {error.detail}); correct it: --payload FILE"
        ) from None
    assert value is not None, "no value is no record"
    _must_be_vouched(letter, record, signatures, vouched, is_theirs=False)
    sends = _sends(letter, value, record, partitions, signatures)
    return ReplayPlan(letter, value, record, sends, _warning(letter))


def _must_be_vouched(
    letter: Letter, record: Record, signatures: Signatures | None, vouched: bool, *, is_theirs: bool
) -> None:
    """Raises `NotReplayable` if a replay would put our signature on a record that anybody may have written."""
    if signatures is None:
        if letter.reason == Fault.NOT_SIGNED:
            raise NotReplayable(
                "no service has signed it, and it would be refused again; to sign it, set SAGA_SIGNING_KEYS here"
            )
        return
    if vouched or isinstance(record, FROM_PEOPLE):
        return
    topic, partition, offset = letter.id
    original = Message(Offset(offset), letter.sent, letter.key, letter.value, letter.headers)
    if is_theirs or signatures.fault(original, topic, partition):
        raise NotReplayable(
            f"only services send a {record.type}, and none has signed this one, so anybody may have written it; if you "
            "know that it is right, --sign signs it"
        )


def _sends(
    letter: Letter, value: bytes, record: Record, partitions: int, signatures: Signatures | None
) -> tuple[Outgoing, ...]:
    """The record goes to the partition of its key; a policy goes to the partition that sends it to all others."""
    key = topics.key_of(record)
    kept = [(name, content or b"") for name, content in letter.headers if name not in _OURS]
    headers = (*kept, (letter_format.REPLAY_OF, str(letter.id).encode()))
    is_policy = isinstance(record, PolicyChanged)
    partition = topics.POLICY_PARTITION if is_policy else topics.partition_of(key, partitions)
    sent = Outgoing(topics.topic_of(record), key.encode(), value, partition, headers)
    if signatures is not None and not isinstance(record, FROM_PEOPLE):
        sent = sent._replace(headers=signatures.signed(sent, partition))
    return (sent,)


def _warning(letter: Letter) -> str | None:
    if letter.reason not in _OF_THE_STATE:
        return None
    return f"it was refused as {letter.reason}, and will be again unless that has changed meanwhile"


def marker(done: ReplayPlan, sent_to: Sequence[LetterId]) -> Outgoing:
    """The marker to write when all records of the replay are in the log."""
    return letter_format.marker(done.letter.id, done.letter.store, done.value, sent_to)
