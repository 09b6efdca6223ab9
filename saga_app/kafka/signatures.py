"""Signatures: a record that only services write says by a header that a service wrote it, for just this place.

The header is `ID:MAC`. The MAC is HMAC-SHA256 in base64, over topic, partition, the mark of a record that was sent on,
key and value. The offset is not in it: a producer does not know it. So somebody who can write may repeat a signed
record in its own partition, and the rules decide a record a second time without effect (decision 27).
"""

import hmac
from binascii import b2a_base64
from collections.abc import Sequence
from typing import Final, Self

from saga_app.core.errors import Fault, Rejected
from saga_app.core.records import FROM_PEOPLE, Record
from saga_app.kafka.headers import is_sent_on
from saga_app.kafka.messages import Header, Message, Outgoing, outgoing
from saga_app.settings import Settings
from saga_app.signing_keys import SigningKey, SigningKeys
from saga_app.topics import INBOXES, ORDER_OUTCOMES, key_of, partition_of

SIGNATURE: Final = "saga-signature"
#: The topics whose records count only as those of services.
_SIGNED: Final = frozenset({*INBOXES, ORDER_OUTCOMES})


class Signatures:
    """Signs records for inboxes, and refuses those that lack a signature where they need one."""

    def __init__(self, keys: SigningKeys) -> None:
        self._first = keys.first
        self._keys = {key.id.encode(): key for key in keys.keys.values()}
        self._required = keys.required

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """As the settings say; None if nobody signs."""
        keys = settings.signing_keys
        return None if keys is None else cls(keys)

    def signed(self, record: Outgoing, partition: int) -> Sequence[Header]:
        """The record's headers in this partition, with our signature if it is one that we sign, and no other one."""
        headers = record.headers
        if record.topic not in _SIGNED:
            return headers
        content = _content(record.topic, partition, headers, record.key, record.value)
        signature = b"%b:%b" % (self._first.id.encode(), _mac(self._first, content))
        kept = [header for header in headers if header[0] != SIGNATURE] if headers else ()
        return (*kept, (SIGNATURE, signature))

    def require(self, record: Record, message: Message, topic: str, partition: int) -> None:
        """Raises `Rejected` if this record of an inbox needs a signature and has no valid one.

        It depends on the record and the settings alone, so every worker and every audit finds the same.
        """
        if needs_signature(record, message) and (why := self.doubt(message, topic, partition)):
            raise Rejected(Fault.NOT_SIGNED, f"only services send this {record.type}: {why}")

    def doubt(self, message: Message, topic: str, partition: int) -> str | None:
        """The reason that a record which only services write does not count; None if it does, or none was needed."""
        if self._required is None or not self._required.covers(message.time):
            return None
        return self.fault(message, topic, partition)

    def fault(self, message: Message, topic: str, partition: int) -> str | None:
        """The reason that a record at this place does not count as signed; None if it does."""
        found = [value or b"" for name, value in message.headers if name == SIGNATURE]
        if not found:
            return f"it has no header {SIGNATURE}"
        name, _, mac = found[-1].partition(b":")
        key = self._keys.get(name)
        if key is None:
            return "SAGA_SIGNING_KEYS does not have its key"
        if key.until is not None and message.time >= key.until:
            return f"the key {key.id} had its end before"
        content = _content(topic, partition, message.headers, message.key, message.value)
        if not hmac.compare_digest(_mac(key, content), mac):
            return "its signature is of another record, place or key"
        return None


def as_service(record: Record, settings: Settings) -> Outgoing:
    """The record as a service sends it: for its partition, and signed if services sign."""
    made, signatures = outgoing(record), Signatures.of(settings)
    partition = made.partition
    if partition is None:
        partition = partition_of(key_of(record), settings.partitions)
        made = made._replace(partition=partition)
    return made if signatures is None else made._replace(headers=signatures.signed(made, partition))


def needs_signature(record: Record, message: Message) -> bool:
    """True unless people send this record: five types, and never with the mark of a record that was sent on."""
    return not isinstance(record, FROM_PEOPLE) or is_sent_on(message.headers)


def _content(
    topic: str, partition: int, headers: Sequence[Header], key: bytes | None, value: bytes | None
) -> bytes:
    """The bytes under the signature. With the key's length before them, no two records have the same."""
    length = -1 if key is None else len(key)
    sent_on = bool(headers) and is_sent_on(headers)
    return b"%b %d %d %d\n%b%b" % (topic.encode(), partition, sent_on, length, key or b"", value or b"")


def _mac(key: SigningKey, content: bytes) -> bytes:
    # Base64 and not hexadecimal: a dead letter keeps its headers, and hides what looks like a card number.
    return b2a_base64(hmac.digest(key.secret, content, "sha256"), newline=False)
