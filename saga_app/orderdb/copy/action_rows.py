"""Rows of actions: one for each record with the name of the person or program that sent it.

An order that is placed is no action: shops place millions, and the order's own page says who did.
"""

from typing import Any, Final

from saga_app.core.records import (
    FundsDeposited,
    FundsWithdrawn,
    OrderPlaced,
    PolicyChanged,
    Record,
    StepAnswered,
    StockAdjusted,
    StockReceived,
)
from saga_app.dead_letters.format import Headers, LetterId
from saga_app.dead_letters.letter import Settlement
from saga_app.kafka.headers import actor_of
from saga_app.orderdb import schema
from saga_app.orderdb.copy.batch import RowBatch, fit

#: The types of the two actions that send no record to an inbox: markers of dead letters.
REPLAYED: Final = "DeadLetterReplayed"
DISMISSED: Final = "DeadLetterDismissed"


def action(batch: RowBatch, message: Any, record: Record, headers: Headers) -> None:
    """Adds the action, if somebody's name is in the headers of this record."""
    actor = actor_of(headers)
    if actor is not None and not isinstance(record, OrderPlaced):
        about, note = _told(record)
        _add(batch, message, actor, record.type, about, note)


def settled(batch: RowBatch, message: Any, letter: LetterId, done: Settlement, headers: Headers) -> None:
    """Adds the replay or dismissal of a dead letter."""
    actor = actor_of(headers)
    if actor is not None:
        kind = REPLAYED if done.note is None else DISMISSED
        _add(batch, message, actor, kind, str(letter), done.note)


def _add(batch: RowBatch, message: Any, actor: str, kind: str, about: str, note: str | None) -> None:
    place = (message.topic(), message.partition(), message.offset())
    fields = {
        **dict(zip(("topic", "partition", "at_offset"), place, strict=True)),
        "time": message.timestamp()[1],
        "actor": actor,
        "type": kind,
        "about": fit(about),
        "note": None if note is None else fit(note),
    }
    batch.once(schema.actions, place, fields)


def _told(record: Any) -> tuple[str, str | None]:
    """The thing that the record is about, and what else it says, for people."""
    match record:
        case FundsDeposited():
            return record.customer_id, f"{record.amount} {record.currency}, deposit {record.deposit_id}"
        case FundsWithdrawn():
            what = f"{record.amount} {record.currency}, withdrawal {record.withdrawal_id}, {record.reason}"
            return record.customer_id, ": ".join(filter(None, (what, record.note)))
        case StockAdjusted():
            units = sum(line.quantity for line in record.lines)
            what = f"{units:+} units, adjustment {record.adjustment_id}, {record.reason}"
            return record.warehouse, ": ".join(filter(None, (what, record.note)))
        case StockReceived():
            units = sum(line.quantity for line in record.lines)
            return (
                record.warehouse,
                f"{units} units of {len(record.lines)} articles, delivery {record.delivery_id}",
            )
        case PolicyChanged():
            names = ("limit", "countries", "carrier", "route", "patience")
            changes = {name: getattr(record, name) for name in names}
            words = [
                f"{name} {' '.join(value) if isinstance(value, tuple) else value}"
                for name, value in changes.items()
                if value is not None
            ]
            return record.policy_id, ", ".join(words)
        case StepAnswered():
            said = (record.step, record.outcome, record.reference, record.detail)
            return record.order_id, " ".join(filter(None, said))
    about = getattr(record, "order_id", None)
    return about or f"partition {record.partition}", getattr(record, "note", None)
