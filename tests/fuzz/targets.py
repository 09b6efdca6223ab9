"""The target of the fuzzer: bytes as a broker keeps them, down to the records that are decided."""

from saga_app import wire
from saga_app.core.errors import Fault, Rejected
from saga_app.core.numbers import FIRST
from saga_app.kafka.messages import Message, record_in
from saga_app.kafka.packed import MOST_UNPACKED, RawBatch, RawRecord, batches_in, records_in
from saga_app.redaction import has_card_number

#: The outcome of some bytes; those with a new one are worth keeping.
Outcome = frozenset[str]


def outcome_of(data: bytes) -> Outcome:
    """The outcome of a broker's answer; an exception is a fault that was found."""
    found: set[str] = set()
    for batch in batches_in(data):
        # The broker has checked the number of records and the distance of the last one against each other.
        if not batch.is_control and batch.records == batch.last - batch.first + 1:
            found |= _of_batch(batch)
    return frozenset(found)


def _of_batch(batch: RawBatch) -> set[str]:
    codec = f"codec {batch.attributes & 7}"
    found = {f"{codec} dense"} if batch.is_dense else {codec}
    following, size = int(batch.first), 0
    for record in records_in(batch):
        assert following <= record.offset <= batch.last, "an offset twice, or of another batch"
        following = record.offset + 1
        size += len(record.value or b"") + len(record.key or b"")
        found.add(f"{codec} {_of_record(record)}")
    assert size <= MOST_UNPACKED
    return found


def _of_record(record: RawRecord) -> str:
    try:
        decided = record_in(Message(FIRST, 0, record.key, record.value, record.headers), wire.Decoder(0))
    except Rejected as refused:
        return _of_refusal(refused, record.value)
    assert wire.decode(wire.encode(decided)) == decided
    return decided.type


def _of_refusal(refused: Rejected, value: bytes | None) -> str:
    assert refused.fault in set(Fault) and 0 < len(refused.detail) <= wire.LONGEST_DETAIL
    assert not has_card_number([refused.detail])
    kept = wire.harmless(value)
    assert kept == value or (kept is not None and kept.startswith(b"sha256:"))
    return str(refused.fault)
