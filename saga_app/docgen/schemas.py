"""JSON Schema of every record and row, and the AsyncAPI document, made from the types themselves."""

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, get_args, get_type_hints

import yaml
from pydantic import ConfigDict, Field, create_model

import saga_app
from saga_app import topics
from saga_app.core import rows
from saga_app.core.fields import Model, Money
from saga_app.core.moves import Moves
from saga_app.core.order import Order
from saga_app.core.records import OrderPlaced, OrdersEvicted, PolicyChanged, Record, StepAnswered
from saga_app.kafka.order_outcomes import OrderOutcome

FOLDER: Final = "docs/reference/schemas"
ASYNCAPI: Final = "docs/reference/asyncapi.yaml"
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
RECORDS: Final[tuple[type[Model], ...]] = get_args(Record)


def files() -> Iterator[tuple[str, str]]:
    """Path from the root and content of every file."""
    for model in RECORDS:
        yield f"{FOLDER}/{model.__name__}.json", _text(record_schema(model))
    for row in sorted(rows.WRITTEN, key=lambda each: each.__name__):
        yield f"{FOLDER}/{row.__name__}.json", _text(row_schema(row))
    yield f"{FOLDER}/{OrderOutcome.__name__}.json", _text(outcome_schema())
    yield ASYNCAPI, yaml.safe_dump(asyncapi(), sort_keys=False, allow_unicode=True, width=120)


def record_schema(model: type[Model]) -> dict[str, Any]:
    """The schema of a record. `saga_app.wire` also checks sums, normal forms and card numbers: no schema can."""
    schema = model.model_json_schema()
    if model is not OrderPlaced:
        # Without a type a record is an OrderPlaced.
        schema["required"] = ["type", *schema.get("required", ())]
    return {"$schema": _DIALECT, **schema}


def row_schema(row: type[Any]) -> dict[str, Any]:
    """The schema of a row in a changelog: absent fields are left out, never null."""
    defaults = row._field_defaults
    fields: dict[str, Any] = {}
    hints = get_type_hints(row)
    if (outside := hints.pop("outside", None)) is not None:
        # The fields of an effect outside stand in the row: all of them, or none.
        (effect,) = (each for each in get_args(outside) if each is not type(None))
        hints |= get_type_hints(effect)
        defaults = {**defaults, **dict.fromkeys(effect._fields)}
    for name, kind in hints.items():
        written = _written(kind)
        fields[name] = (written, Field(default_factory=written) if name in defaults else ...)
    model: type[Any] = create_model(
        row.__name__, __config__=ConfigDict(extra="forbid"), __doc__=row.__doc__, **fields
    )
    return {"$schema": _DIALECT, **model.model_json_schema()}


def outcome_schema() -> dict[str, Any]:
    """The schema of an outcome. Readers ignore fields that they do not know, so it allows others."""
    return {"$schema": _DIALECT, **OrderOutcome.model_json_schema()}


def _written(kind: Any) -> Any:
    """The JSON type of a field."""
    present = [each for each in get_args(kind) if each is not type(None)]
    if type(None) in get_args(kind):
        kind = present[0]
    return {bytes: Order, Decimal: Money, Decimal | int: str | int, Moves: Mapping[str, str | int]}.get(
        kind, kind
    )


def asyncapi() -> dict[str, Any]:
    """AsyncAPI 3: every inbox, the records that it takes, and the service that reads it; and the outcomes."""
    channels = {topic: _channel(topic) for topic in topics.INBOXES}
    channels[topics.ORDER_OUTCOMES] = _outcomes()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "checkout-saga",
            "version": saga_app.__version__,
            "description": "Each topic is the inbox of one service, with one consumer group as its only reader; "
            "but order_outcomes is for everybody outside.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": {
            topic.removesuffix("_events"): {
                "action": "receive",
                "channel": {"$ref": f"#/channels/{topic}"},
            }
            for topic in topics.INBOXES
        }
        | {"outcomes": {"action": "send", "channel": {"$ref": f"#/channels/{topics.ORDER_OUTCOMES}"}}},
    }


def _outcomes() -> dict[str, Any]:
    return {
        "address": topics.ORDER_OUTCOMES,
        "messages": {
            OrderOutcome.__name__: {
                "summary": "How an order ended: a CloudEvent in binary mode. Without a value: it has left the tables.",
                "payload": {"$ref": f"schemas/{OrderOutcome.__name__}.json"},
            }
        },
        "bindings": {"kafka": {"topic": topics.ORDER_OUTCOMES, "partitions": topics.DEFAULT_PARTITIONS}},
    }


def _channel(topic: str) -> dict[str, Any]:
    return {
        "address": topic,
        "messages": {
            model.__name__: {
                "summary": (model.__doc__ or "").strip().splitlines()[0],
                "payload": {"$ref": f"schemas/{model.__name__}.json"},
            }
            for model in RECORDS
            if topic in inboxes_of(model)
        },
        "bindings": {"kafka": {"topic": topic, "partitions": topics.DEFAULT_PARTITIONS}},
    }


def inboxes_of(model: type[Any]) -> tuple[str, ...]:
    """The inboxes that take records of this type."""
    if model is PolicyChanged:
        return (topics.CHECKOUT, topics.PAYMENT, topics.SHIPPING)
    if model in (OrdersEvicted, StepAnswered):
        return tuple(topics.STEPS)
    return (topics._OF_TYPE[model],)


def _text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
