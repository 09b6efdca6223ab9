"""The parts of an order's history: its events, and the inboxes that lack a part of it."""

from typing import Any, NamedTuple

from pydantic_core import from_json

from saga_app.audit.refold import RecordOutcome
from saga_app.core.records import Record
from saga_app.core.rows import ClosedOrder, JournalRow, OrderRow
from saga_app.kafka.headers import actor_of
from saga_app.kafka.messages import Message, Place
from saga_app.redaction import without_methods

StatusRow = OrderRow | ClosedOrder | JournalRow


class Event(NamedTuple):
    """One record about the order, its place, and its outcome; `outcome` is None where the inbox cannot be folded.

    A record may evict many orders; `order_id` says which one the history is about.
    """

    place: Place
    message: Message
    record: Record
    outcome: RecordOutcome | None
    order_id: str

    @property
    def time(self) -> int:
        """Kafka's, in milliseconds."""
        return self.message.time

    @property
    def actor(self) -> str | None:
        """The person who sent the record, as it says; None for a record that no command or page sent."""
        return actor_of(self.message.headers)

    @property
    def row(self) -> StatusRow | None:
        """The order's row after the record."""
        if self.outcome is None:
            return None
        for put in self.outcome.decision.puts if self.outcome.decision is not None else ():
            if put.key == self.order_id:
                return put.row if isinstance(put.row, StatusRow) else None
        return self.outcome.before

    def as_json(self) -> dict[str, Any]:
        """As JSON: the record and the row as they are in the topics, but for tokens of payment methods."""
        outcome = self.outcome
        return {
            "time": self.time,
            "topic": self.place[0],
            "partition": self.place[1],
            "offset": self.message.offset,
            "actor": self.actor,
            "verdict": outcome and outcome.verdict,
            "record": from_json(without_methods(self.message.value or b"null")),
            "row": None if self.row is None else from_json(without_methods(self.row.encode())),
            "sent": []
            if outcome is None or outcome.decision is None
            else [sent.type for sent in outcome.decision.sends],
            "reason": None if outcome is None or outcome.rejection is None else str(outcome.rejection.fault),
            "detail": None if outcome is None or outcome.rejection is None else outcome.rejection.detail,
            "note": None if outcome is None or outcome.decision is None else outcome.decision.note,
        }


class TruncatedInbox(NamedTuple):
    """An inbox without its beginning: why the history is incomplete, and the order's row at the checkpoint or now."""

    place: Place
    why: str
    row: StatusRow | None

    def as_json(self) -> dict[str, Any]:
        """As JSON."""
        topic, partition = self.place
        row = None if self.row is None else from_json(without_methods(self.row.encode()))
        return {"topic": topic, "partition": partition, "not_told": self.why, "row": row}
