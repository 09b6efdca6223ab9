"""Rows of events: one for each record of an inbox about an order, and for each dead letter, with its place as key."""

import json
from collections.abc import Iterable
from typing import Any, Final

from saga_app.core.errors import Rejected
from saga_app.core.fields import Model
from saga_app.core.records import CancellationRequested, OrderPlaced, StepAnswered, StepRequest
from saga_app.core.route import RECORD_TYPES
from saga_app.dead_letters.format import LetterId
from saga_app.dead_letters.letter import Settlement, Stored, read_letter, read_marker, text
from saga_app.kafka.headers import actor_of, headers_of, require_fit
from saga_app.orderdb import schema
from saga_app.orderdb.copy import action_rows
from saga_app.orderdb.copy.batch import Fields, RowBatch, fit, fitting
from saga_app.orderdb.traces.traceparent import traceparent


def _is_about_an_order(model: type[Model]) -> bool:
    return issubclass(model, StepRequest) or "order_id" in model.model_fields


#: The fields that an event has if its record has them.
_OPTIONAL: Final = dict.fromkeys(("reason", "step", "attempt", "note"))
#: The optional fields of each type of record; None if it is about no order.
_FIELDS: Final = {
    model: [name for name in _OPTIONAL if name in model.model_fields] if _is_about_an_order(model) else None
    for model in RECORD_TYPES
}


def event(batch: RowBatch, message: Any) -> None:
    """Adds the row of an inbox record; none if the record is about no order or cannot be read."""
    headers = headers_of(message)
    try:
        require_fit(headers)
        record: Any = batch.decoder.decode(message.value())
    except Rejected:
        # A worker makes it a dead letter, and that is copied.
        return
    action_rows.action(batch, message, record, headers)
    names = _FIELDS[type(record)]
    if names is None:
        return
    place = (message.topic(), message.partition(), message.offset())
    fields = {
        **_placed(place),
        "order_id": record.order_id,
        "time": message.timestamp()[1],
        "type": record.type,
        **_OPTIONAL,
        "traceparent": None,
        "actor": None,
    }
    for name in names:
        fields[name] = _fitting_value(getattr(record, name))
    if isinstance(record, StepAnswered):
        fields["note"] = fit(" ".join(filter(None, (record.outcome, record.code))))
    if isinstance(record, OrderPlaced | CancellationRequested):
        fields["actor"] = actor_of(headers)
    if isinstance(record, OrderPlaced):
        fields["traceparent"] = traceparent(headers)
        batch.placed.add(record.order_id)
        _prices(batch, message, record)
    batch.once(schema.order_events, place, fields)


def _prices(batch: RowBatch, message: Any, record: OrderPlaced) -> None:
    for number, line in enumerate(record.lines):
        if line.unit_price is not None or line.total is not None:
            fields = {
                "partition": message.partition(),
                "at_offset": message.offset(),
                "line": number,
                "sku": line.sku,
                "quantity": line.quantity,
                "unit_price": line.unit_price,
                "total": line.total,
            }
            batch.once(schema.order_prices, tuple(fields.values())[:3], fields)


def _fitting_value(value: str | int | None) -> str | int | None:
    return fit(str(value)) if isinstance(value, str) else value and fitting(value)


def letter_or_marker(batch: RowBatch, message: Stored) -> None:
    """Adds the row of a dead letter or of a marker; none for a record that no worker or command wrote."""
    if letter := read_letter(message):
        place = (letter.id.topic, letter.id.partition, fitting(letter.id.offset))
        fields = {
            **_placed(place),
            "time": letter.time,
            "sent": fitting(letter.sent),
            "reason": fit(letter.reason),
            "detail": fit(letter.detail),
            "key": letter.key,
            "value": letter.value,
            "headers": json.dumps([[name, text(value)] for name, value in letter.headers]),
            "replay_of": str(letter.replay_of) if letter.replay_of else None,
        }
        batch.earliest(schema.dead_letters, place, fields)
    elif marked := read_marker(message):
        _marker(batch, message, *marked)


def _marker(batch: RowBatch, message: Any, letter: LetterId, done: Settlement) -> None:
    place = (message.partition(), message.offset())
    fields = {
        "marker_partition": place[0],
        "marker_offset": place[1],
        **_placed((letter.topic, letter.partition, fitting(letter.offset))),
        "time": done.time,
        "sha256": fit(done.sha256),
        "sent_to": fit(done.sent_to),
        "note": None if done.note is None else fit(done.note),
    }
    batch.once(schema.settlements, place, fields)
    action_rows.settled(batch, message, letter, done, headers_of(message))


def _placed(place: Iterable[Any]) -> Fields:
    return dict(zip(("topic", "partition", "at_offset"), place, strict=True))
