"""What sending a dead letter again means: where it would go, whether it would be taken, what must be said. Pure.

A replay is sent first and marked afterwards. Between the two a crash leaves a record that was sent and is not marked:
it may be sent once more, and that changes nothing, since every effect has an identity and twice is once. The other
order would leave a letter that counts as sent again and never was: lost without a trace.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from saga_app import topics, wire
from saga_app.core.errors import Fault, Rejected
from saga_app.core.records import PolicyChanged, Record
from saga_app.dead_letters import format as letter_format
from saga_app.dead_letters.format import LetterId
from saga_app.dead_letters.letter import Letter, Replay
from saga_app.kafka.headers import HEADERS_DROPPED, SENT_ON
from saga_app.kafka.messages import Outgoing
from saga_app.times import written

#: Faults that do not lie in the bytes but in what the tables held then.
_OF_THE_STATE: Final = frozenset({Fault.DIFFERENT_CONTENT, Fault.UNKNOWN_ORDER, Fault.CONTRADICTION})
#: Headers that say how the record came to be dead; those of the original are kept.
_OURS: Final = frozenset({SENT_ON, letter_format.REPLAY_OF, HEADERS_DROPPED})


class ReplayPlan(NamedTuple):
    """A letter, the records that would be sent for it, and what to know before."""

    letter: Letter
    value: bytes
    record: Record
    sends: tuple[Outgoing, ...]
    warning: str | None = None


class NotReplayable(Exception):
    """This letter is not sent again; the message says why and what to do."""


def plan(
    letter: Letter,
    replays: Sequence[Replay],
    partitions: int,
    corrected: bytes | None = None,
    force: bool = False,
) -> ReplayPlan:
    """What a replay sends. `Stays` if it must not be sent; `Rejected` if the corrected payload is refused."""
    if replays and not force:
        last = replays[-1]
        raise NotReplayable(
            f"it was replayed at {written(last.time)} ({last.sent_to}); --force sends it again"
        )
    if corrected is not None:
        record = wire.decode(corrected)
        return ReplayPlan(letter, corrected, record, _sends(letter, corrected, record, partitions))
    if letter.is_hidden:
        raise NotReplayable(
            "it held a card number, or was too large, and only its hash was kept; send it corrected: --payload FILE"
        )
    value = letter.value
    try:
        record = wire.decode(value)
    except Rejected as error:
        raise NotReplayable(
            f"it would be refused again ({error.fault}: {error.detail}); correct it: --payload FILE"
        ) from None
    assert value is not None, "no value is no record"
    return ReplayPlan(letter, value, record, _sends(letter, value, record, partitions), _warning(letter))


def _sends(letter: Letter, value: bytes, record: Record, partitions: int) -> tuple[Outgoing, ...]:
    """To its own inbox and partition, whatever they were; a change of policy to all, or rules would differ."""
    key = topics.key_of(record)
    kept = [(name, content or b"") for name, content in letter.headers if name not in _OURS]
    headers = (*kept, (letter_format.REPLAY_OF, str(letter.id).encode()))
    everywhere = isinstance(record, PolicyChanged)
    places = range(partitions) if everywhere else [topics.partition_of(key, partitions)]
    return tuple(Outgoing(topics.topic_of(record), key.encode(), value, place, headers) for place in places)


def _warning(letter: Letter) -> str | None:
    if letter.reason not in _OF_THE_STATE:
        return None
    return f"it was refused as {letter.reason}, and will be again unless that has changed meanwhile"


def marker(done: ReplayPlan, sent_to: Sequence[LetterId]) -> Outgoing:
    """What is written behind the letter when all its records are in the log."""
    return letter_format.marker(done.letter.id, done.letter.store, done.value, sent_to)
