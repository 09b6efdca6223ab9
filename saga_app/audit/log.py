"""An inbox partition as an audit reads it: from the beginning, or from where a checkpoint ended."""

from collections.abc import Iterator, Mapping
from hashlib import blake2b

from saga_app.audit.context import AuditContext
from saga_app.audit.findings import Breach, Findings, Mending
from saga_app.core.numbers import Offset
from saga_app.kafka.chunks import chunks
from saga_app.kafka.headers import headers_of
from saga_app.kafka.messages import Message, Place
from saga_app.settings import Settings


class InboxLog:
    """The records behind the checkpoint. `last` maps the offset of the last record that was read to its digest."""

    def __init__(
        self, context: AuditContext, place: Place, last: Mapping[bytes, bytes], findings: Findings
    ) -> None:
        self.last = last
        self._context = context
        self._place = place
        self._findings = findings

    def new(self) -> Iterator[Message]:
        """Reads up to the end. If the checkpoint's last record is still there, it must not have changed."""
        limits, start = self._context.limits, self._context.limits.start(self._place)
        ((known, digest),) = [(int(at), digest) for at, digest in self.last.items()] or [(-1, b"")]
        is_there = known >= limits.first[self._place]
        message = None
        for message in messages(
            self._context.settings, self._place, known if is_there else start, limits.end[self._place]
        ):
            if is_there and (message.offset, digest_of(message)) != (known, digest):
                what = "not the record that the checkpoint ends with: the topic was written anew"
                self._findings.breach(Breach("I9", what, self._place, known, mending=Mending.GONE))
            is_there = False
            if message.offset >= start:
                yield message
        if message is not None:
            self.last = {b"%d" % message.offset: digest_of(message)}


def messages(settings: Settings, place: Place, start: int, end: int) -> Iterator[Message]:
    """Reads a partition as a worker does."""
    for chunk in chunks(settings.kafka, *place, start, end, "read_committed"):
        for each in chunk:
            yield Message(
                Offset(each.offset()), each.timestamp()[1], each.key(), each.value(), headers_of(each)
            )


def digest_of(message: Message) -> bytes:
    """A digest of time, key and value: another record at the same offset has another one."""
    content = b"%d\0%s\0%s" % (message.time, message.key or b"", message.value or b"")
    return blake2b(content, digest_size=16).hexdigest().encode()
