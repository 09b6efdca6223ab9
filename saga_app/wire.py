"""Converts between bytes and records. Records of people are parsed with care; our own step requests are read fast."""

import re
from codecs import BOM_UTF8
from collections.abc import Iterable
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final, Generic, TypeVar

import jiter
from pydantic import ValidationError
from pydantic_core import to_json

from saga_app.core import fields
from saga_app.core.errors import Fault, Rejected
from saga_app.core.order import Order
from saga_app.core.records import (
    REFUND_REQUESTS,
    OrderCompleted,
    OrderPlaced,
    Record,
    RefundRequest,
    StepAnswered,
    StepRequest,
    Undo,
)
from saga_app.core.route import RECORD_TYPES
from saga_app.redaction import SEPARATORS, has_card_number, is_card_number
from saga_app.wrong_fields import WrongField, each_wrong_field, wrong_fields

#: Bytes of the largest record that people may send, and of the largest step request.
LARGEST_FROM_PEOPLE: Final = 256 * 1024
LARGEST_STEP_REQUEST: Final = 1024 * 1024
#: Characters of the detail of a rejection.
LONGEST_DETAIL: Final = 600

_MODELS: Final[dict[str, type[Any]]] = {model.model_fields["type"].default: model for model in RECORD_TYPES}
#: Those that are nothing but a head and an order. Refunds are rare, and parsed with care.
_STEP_REQUESTS: Final[dict[bytes, Any]] = {
    name.encode(): model
    for name, model in _MODELS.items()
    if issubclass(model, StepRequest) and not issubclass(model, RefundRequest)
}
_ID: Final = fields.ID.encode()
_IS_ID: Final = re.compile(fields.ID)
_PROVIDED: Final = fields.PROVIDED.encode()
_SEGMENT: Final = rb'(?:,"segment":"([0-9]{1,4}:[0-9]{1,16})")?'
_COMPLETED: Final = re.compile(rb'\{"type":"OrderCompleted","order_id":"(%s)"%s\}' % (_ID, _SEGMENT))
#: The part before the order in a step request of ours.
_HEAD: Final = re.compile(
    rb'\{"type":"([A-Za-z]{1,40})"(?:,"reason":"([a-z_]{1,40})","step":"([a-z]{1,40})")?%s,"order":'
    % _SEGMENT
)
#: The canonical form of an order, the only one that we write; `Order` checks the values in it.
_LINE: Final = rb'\{"sku":"%s","quantity":[1-9]\d*\}' % _ID
_AMOUNT: Final = rb'"(?:0|[1-9]\d*)(?:\.\d+)?"'
_TEXT: Final = rb'"(?:[^"\\]|\\.)*"'
_PAIR: Final = rb"\[%s,%s\]" % (_TEXT, _TEXT)
_CANONICAL: Final = re.compile(
    rb'\{"order_id":"%s"(?:,"customer_id":"%s")?,"currency":"[A-Z]{3}","amount":%s'
    rb'(?:,"shipping":%s)?(?:,"tax":%s)?(?:,"discount":%s)?'
    rb'(?:,"country":"[A-Z]{2}")?(?:,"payment_method":"%s")?(?:,"payment_reference":"%s")?'
    rb'(?:,"patience":[1-9][0-9]{0,5})?,"warehouse":"%s"'
    rb'(?:,"reference":%s)?(?:,"metadata":\[%s(?:,%s)*\])?'
    rb',"lines":\[(?:%s(?:,%s)*)?\](?:,"route":\["[a-z_]{1,40}"(?:,"[a-z_]{1,40}")*\])?\}'
    % (_ID, _ID, *(_AMOUNT,) * 4, _PROVIDED, _PROVIDED, _ID, _TEXT, _PAIR, _PAIR, _LINE, _LINE)
)
#: Bytes can hold a card number only if they have 13 digits in a row, apart from separators, an escape, or characters
#: of other alphabets.
_DIGITS_AS_0: Final = bytes(ord("0") if chr(byte) in "0123456789" else ord("x") for byte in range(256))
_THIRTEEN: Final = b"0" * 13
_SEPARATORS: Final = SEPARATORS.encode()
#: Fields that hold money: the point in them is none between two groups of digits.
_AMOUNTS: Final = frozenset({"amount", "limit", "shipping", "tax", "discount", "unit_price", "total"})
#: Its names are a shop's own, and mean nothing: what stands under `sku` there is no SKU.
_METADATA: Final = "metadata"
_ESCAPE: Final = re.compile(r"\\u([0-9a-fA-F]{4})")
ID_FIELDS: Final = frozenset(
    {
        "order_id",
        "order_ids",
        "customer_id",
        "deposit_id",
        "delivery_id",
        "policy_id",
        "refund_id",
        "sku",
        "warehouse",
        # Of a `StepAnswered`: the id by which its step is partitioned.
        "key",
    }
)


Read = TypeVar("Read")
AnyRecord = TypeVar("AnyRecord", bound=fields.Model)


class FieldsRejected(Rejected):
    """A record with wrong fields. None of the texts holds a card number."""

    def __init__(self, found: Iterable[WrongField]) -> None:
        found = list(found)
        super().__init__(Fault.INVALID, masked(wrong_fields(found, LONGEST_DETAIL)))
        self.fields = [
            WrongField(tuple(masked(each) if isinstance(each, str) else each for each in path), masked(why))
            for path, why in found
        ]


class BoundedCache(Generic[Read]):
    """Values by the bytes that they were read from, up to so many bytes: the records of an order follow each other."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.bytes = 0
        self.found: dict[bytes, Read] = {}

    def keep(self, data: bytes, read: Read) -> None:
        """Adds a value. If the cache gets too large, the older half goes: removing one at a time makes a dict slow."""
        if data in self.found:
            return
        self.found[data] = read
        self.bytes += len(data)
        if self.bytes > self.most_bytes:
            # The list is made in one go: a page may be read in another thread meanwhile.
            for oldest in list(self.found)[: (len(self.found) + 1) // 2]:
                self.take(oldest)

    def take(self, data: bytes) -> Read | None:
        """Removes a value and returns it; None if there is none."""
        read = self.found.pop(data, None)
        if read is not None:
            self.bytes -= len(data)
        return read


class Decoder:
    """Reads records, and keeps the orders in them: an order is parsed once for all step requests about it.

    A parsed order takes up to 20 times its bytes. The default, 2 MiB, is room for 10,000 orders of 2 lines or 2,400 of
    27, and takes about 40 MiB.
    """

    def __init__(self, most_order_bytes: int = 2 * 1024 * 1024) -> None:
        self._orders = BoundedCache[Order](most_order_bytes)

    def decode(self, value: bytes | None) -> Record:
        """The record in these bytes; `Rejected` with the reason, and never another exception."""
        if value is None:
            raise Rejected(Fault.UNREADABLE, "the record has no value")
        if completed := _COMPLETED.fullmatch(value):
            return OrderCompleted.of(
                type="OrderCompleted", order_id=completed[1].decode(), segment=_text(completed[2])
            )
        try:
            return self._decode_ours(value) or self._decode_theirs(value)
        except ValidationError as error:
            raise FieldsRejected(each_wrong_field(error)) from None

    def _decode_ours(self, value: bytes) -> Record | None:
        """A step request in exactly our layout; None if the record must be parsed with care."""
        head = _HEAD.match(value)
        model = _STEP_REQUESTS.get(head[1]) if head else None
        if (
            head is None
            or model is None
            or value[-1:] != b"}"
            or issubclass(model, Undo) is not bool(head[2])
        ):
            return None
        if len(value) > LARGEST_STEP_REQUEST:
            raise Rejected(
                Fault.TOO_LARGE, f"{len(value)} bytes; a step request has at most {LARGEST_STEP_REQUEST}"
            )
        order = self._order(value[head.end() : -1])
        if order is None:
            return None
        segment = _text(head[4])
        if head[2]:
            return model(  # type: ignore[no-any-return]
                order=order, reason=head[2].decode(), step=head[3].decode(), segment=segment
            )
        return model.of(type=model.__name__, order=order, segment=segment)  # type: ignore[no-any-return]

    def _order(self, canonical: bytes) -> Order | None:
        """The order in these bytes; None if they are not its canonical form."""
        if kept := self._orders.found.get(canonical):
            return kept
        if not _CANONICAL.fullmatch(canonical) or _holds_card(canonical):
            return None
        order = Order.model_validate_json(canonical)
        # A text can be escaped in many ways, of which we write one.
        if (order.reference is not None or order.metadata is not None) and order.canonical != canonical:
            return None
        order.__dict__["canonical"] = canonical
        self._orders.keep(canonical, order)
        return order

    def _decode_theirs(self, value: bytes) -> Record:
        found = parse(value)
        name = found.get("type", "OrderPlaced")
        model = _MODELS.get(name) if isinstance(name, str) else None
        if model is None:
            raise Rejected(Fault.INVALID, masked(f"unknown type {name!r}")[:80])
        record: Record = validated(model, found, value)
        if isinstance(record, OrderPlaced):
            self._orders.keep(record.order.canonical, record.order)
        return record


def decode_as(model: type[AnyRecord], value: bytes, **more: str) -> AnyRecord:
    """Reads a record whose type is known from where it was sent to; `more` has fields for those that are missing."""
    found = parse(value)
    if found.setdefault("type", model.__name__) != model.__name__:
        raise FieldsRejected([WrongField(("type",), f"must be {model.__name__}, or be left out")])
    try:
        return validated(model, {**more, **found}, value)
    except ValidationError as error:
        raise FieldsRejected(each_wrong_field(error)) from None


def validated(model: type[AnyRecord], found: dict[str, Any], value: bytes) -> AnyRecord:
    """The record with these fields, which were parsed from these bytes. Raises `Rejected`, `ValidationError`."""
    largest = LARGEST_STEP_REQUEST if issubclass(model, StepRequest) else LARGEST_FROM_PEOPLE
    if len(value) > largest:
        raise Rejected(Fault.TOO_LARGE, f"{len(value)} bytes; a {model.__name__} has at most {largest}")
    # A provider may number its things as it likes.
    searched = found if model is not StepAnswered else {**found, "reference": ""}
    if _may_hold_card(value) and has_card_number(texts(searched)):
        raise Rejected(
            Fault.CARD_NUMBER,
            "a text holds a card number, or more digits than are searched; take it out and send the record again",
        )
    record = model.model_validate(found)
    if isinstance(record, OrderPlaced):
        try:
            _ = record.order
        except ValueError as error:
            raise Rejected(Fault.INVALID, str(error)) from None
    return record


def decode(value: bytes | None) -> Record:
    """Reads one record on its own; see `Decoder.decode`. Many records are read faster with one decoder."""
    return Decoder(0).decode(value)


def _text(found: bytes | None) -> str | None:
    return None if found is None else found.decode()


def parse(value: bytes) -> dict[str, Any]:
    """Parses a JSON object: numbers with a point become Decimal; NaN and repeated names are refused."""
    if len(value) > LARGEST_STEP_REQUEST:
        raise Rejected(Fault.TOO_LARGE, f"{len(value)} bytes; a record has at most {LARGEST_STEP_REQUEST}")
    try:
        found = jiter.from_json(
            value, allow_inf_nan=False, catch_duplicate_keys=True, float_mode="decimal", cache_mode="keys"
        )
    except (ValueError, ArithmeticError) as error:
        raise Rejected(Fault.UNREADABLE, masked(_not_json(value, error))[:LONGEST_DETAIL]) from None
    if not isinstance(found, dict):
        raise Rejected(Fault.INVALID, "a record is a JSON object")
    return found


def _not_json(value: bytes, error: Exception) -> str:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError as where:
        return f"not UTF-8 at byte {where.start}"
    if value.startswith(BOM_UTF8):
        return "it begins with a byte order mark (BOM); send UTF-8 without one"
    if "InvalidOperation" in str(error):
        # jiter: no Decimal has such an exponent.
        return f"a number is too large or too small, {str(error).rpartition(' at ')[2]}"
    return f"not JSON: {error}"


def encode(record: Record) -> bytes:
    """The record as compact JSON: `type` first, the order last and in its canonical form."""
    if type(record) in REFUND_REQUESTS:
        return _refund_request(record)
    if isinstance(record, StepRequest):
        return b'{"type":"%s"%s%s,"order":%s}' % (
            record.type.encode(),
            _reason_and_step(record) if isinstance(record, Undo) else b"",
            _segment(record),
            record.order.canonical,
        )
    if isinstance(record, OrderCompleted):
        return b'{"type":"OrderCompleted","order_id":"%s"%s}' % (record.order_id.encode(), _segment(record))
    return to_json(record.model_dump(exclude_none=True))


def _refund_request(record: Record) -> bytes:
    assert isinstance(record, RefundRequest)
    refund, canonical = record.refund.canonical, record.order.canonical
    kind = type(record).__name__.encode()
    return b'{"type":"%s"%s,"refund":%s,"order":%s}' % (kind, _segment(record), refund, canonical)


def _reason_and_step(record: Undo) -> bytes:
    return b',"reason":"%s","step":"%s"' % (record.reason.encode(), record.step.encode())


def _segment(record: StepRequest | OrderCompleted) -> bytes:
    return b"" if record.segment is None else b',"segment":"%s"' % record.segment.encode()


def texts(value: Any) -> Iterable[str]:
    """Every string and number in parsed JSON, and every field name; of ids only those that are card numbers."""
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        name, each = waiting.pop()
        if isinstance(each, dict):
            yield from each
            waiting.extend(
                ((_METADATA, item) for item in each.values()) if name == _METADATA else each.items()
            )
        elif isinstance(each, list):
            waiting.extend((name, item) for item in each)
        elif isinstance(each, str | int | Decimal):
            text = str(each)
            if name in _AMOUNTS:
                yield text.replace(".", "  ")
            elif name not in ID_FIELDS or not _IS_ID.fullmatch(text) or is_card_number(text):
                yield text


def _may_hold_card(value: bytes) -> bool:
    """A quick test; a regular expression takes ten times as long, a quarter of the time to read an order."""
    return not value.isascii() or _THIRTEEN in value.translate(_DIGITS_AS_0, _SEPARATORS) or b"\\u" in value


def _holds_card(value: bytes) -> bool:
    """True if this JSON object holds a card number."""
    return _may_hold_card(value) and has_card_number(texts(parse(value)))


def masked(text: str) -> str:
    """The text, or a note instead of a text that holds a card number."""
    return "(hidden: holds a card number)" if has_card_number([text]) else text


def _unescaped(text: str) -> str:
    """The text with every \\u escape replaced by its character."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)


def harmless(value: bytes | None, most: int | None = None) -> bytes | None:
    """The bytes for a dead letter: their hash if they hold a card number, or if they are more than `most`."""
    if value is not None and most is not None and len(value) > most:
        return hash_of(value)
    if value is None or not _may_hold_card(value):
        return value
    try:
        strings = list(texts(parse(value)))
    except Rejected:
        strings = [_unescaped(value.decode("utf-8", errors="replace"))]
    if not has_card_number(strings):
        return value
    return hash_of(value)


def hash_of(value: bytes) -> bytes:
    """Stands for bytes that are not kept."""
    return b"sha256:" + sha256(value).hexdigest().encode()
