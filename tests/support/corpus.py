"""Bad input of every kind that we know, each with the reason that its dead letter must carry.

Made of parts: bytes that nobody can read, or that are too many; what people get wrong by hand; every field of every
record missing, null, of a wrong type, or misspelt; step requests that we did not write; card numbers. All of these
are refused in every inbox. Then, by inbox, good records that belong into another one.
"""

import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from saga_app import topics, wire
from saga_app.core.errors import Fault


class BadBytes(NamedTuple):
    """Bytes that must not be applied."""

    name: str
    value: bytes | None
    fault: Fault
    kind: str


#: A card number that passes every check (a well-known test number), in the ways that people write it.
CARD = "4111111111111111"
CARDS = (
    CARD,
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    "5500 0000 0000 0004",
    "3400 000000 00009",
    "6011000000000004",
    "card 4111111111111111, thanks",
    "4111111111111111 12/27",
    "4111111111111111 123",
    "order 12 4111111111111111",
    "(4111111111111111)",
    "4222222222222",
)
NOT_CARDS = (
    "4111111111111112",
    "1111111111111117",
    "41111111111111111111",
    "411111111111",
    "x4111111111111111",
    "4111111111111111x",
    "call 020 7946 0000",
    "2026-11-23",
    "",
)

ORDER: Final[dict[str, Any]] = {
    "order_id": "o1",
    "customer_id": "c1",
    "currency": "GBP",
    "amount": "40.00",
    "country": "GB",
    "warehouse": "main",
    "lines": [{"sku": "a", "quantity": 1}],
}
REFUND: Final = {"refund_id": "r1", "amount": "1.00"}
WHY: Final = {"reason": "requested", "step": "checkout"}
#: One good record of every type.
GOOD: Final[dict[str, dict[str, Any]]] = {
    "OrderPlaced": ORDER,
    "CancellationRequested": {"order_id": "o1", "note": "changed my mind"},
    "DeadlinePassed": {"order_id": "o1", "attempt": 0, "last": False},
    "OrderCompleted": {"order_id": "o1"},
    "OrderCancelled": {"order_id": "o1", **WHY},
    "RefundOpened": {"order_id": "o1", "refund_id": "r1", "amount": "1.00", "note": "it came late"},
    "RefundCompleted": {"order_id": "o1", "refund_id": "r1"},
    "RefundRefused": {"order_id": "o1", "refund_id": "r1", "reason": "more_than_paid"},
    "PaymentRequested": {"order": ORDER},
    "RefundRequested": {**WHY, "order": ORDER},
    "ReservationRequested": {"order": ORDER},
    "ReleaseRequested": {**WHY, "order": ORDER},
    "ShipmentRequested": {"order": ORDER},
    "ShipmentCancellationRequested": {**WHY, "order": ORDER},
    "RepaymentRequested": {"refund": REFUND, "order": ORDER},
    "RestockRequested": {
        "refund": {**REFUND, "lines": [{"sku": "a", "quantity": 1}], "restock": True},
        "order": ORDER,
    },
    "CaptureRequested": {"order": ORDER},
    "StepAnswered": {
        "order_id": "o1",
        "step": "payment",
        "key": "c1",
        "outcome": "refused",
        "reference": "pi_1",
    },
    "FundsDeposited": {"deposit_id": "d1", "customer_id": "c1", "currency": "GBP", "amount": "1.00"},
    "StockReceived": {"delivery_id": "d1", "warehouse": "main", "lines": [{"sku": "a", "quantity": 1}]},
    "FundsWithdrawn": {
        "withdrawal_id": "w1",
        "customer_id": "c1",
        "currency": "GBP",
        "amount": "1.00",
        "reason": "fee",
        "note": "why",
    },
    "StockAdjusted": {
        "adjustment_id": "a1",
        "warehouse": "main",
        "reason": "damage",
        "lines": [{"sku": "a", "quantity": -1}],
        "note": "why",
    },
    "PolicyChanged": {"policy_id": "p1", "limit": "1.00"},
    "RetentionStarted": {"partition": 0, "segment_width": 64},
    "SegmentsClosed": {
        "partition": 0,
        "first_segment": 1,
        "below_segment": 2,
        "retention_ms": 1000,
        "partition_count": 8,
        "orders": [{"order_id": "o1", "partitions": [0, 1, 7]}],
    },
    "SegmentsPurged": {"partition": 0, "first_segment": 1, "below_segment": 2, "retention_ms": 1000},
    "OrdersEvicted": {
        "partition": 3,
        "step": "payment",
        "checkout_partition": 0,
        "first_segment": 1,
        "below_segment": 2,
        "order_ids": ["o1"],
    },
}
#: Fields that may be left out, or be null where it says so.
OPTIONAL: Final = {
    "OrderPlaced": {"customer_id", "currency", "country", "warehouse", "lines"},
    "StepAnswered": {"reference"},
    "CancellationRequested": {"note"},
    "RefundOpened": {"amount", "note"},
    "FundsDeposited": {"currency"},
    "StockReceived": {"warehouse"},
    "FundsWithdrawn": {"currency", "reason", "note"},
    "StockAdjusted": {"warehouse", "note"},
}
NULLABLE: Final = {
    "OrderPlaced": {"customer_id", "country"},
    "CancellationRequested": {"note"},
    "RefundOpened": {"amount", "note"},
    "StepAnswered": {"reference"},
    "FundsWithdrawn": {"note"},
    "StockAdjusted": {"note"},
}
IDS: Final = {
    "order_id",
    "customer_id",
    "deposit_id",
    "delivery_id",
    "policy_id",
    "warehouse",
    "refund_id",
    "withdrawal_id",
    "adjustment_id",
}
#: Ids that we write ourselves; people may write a number.
OUR_IDS: Final = {
    "DeadlinePassed",
    "OrderCompleted",
    "OrderCancelled",
    "RefundCompleted",
    "RefundRefused",
    "StepAnswered",
}


def spelled(type_: str, fields: dict[str, Any]) -> bytes:
    """As we write it: compact, the type first."""
    return json.dumps({"type": type_, **fields}, separators=(",", ":")).encode()


def order_with(**fields: Any) -> bytes:
    return spelled("OrderPlaced", {**ORDER, **fields})


def step_request(fields: str) -> bytes:
    """A step request whose order is written so."""
    return b'{"type":"PaymentRequested","order":%s}' % fields.encode()


def _unreadable() -> Iterator[tuple[str, bytes | None]]:
    plain = order_with()
    yield "null value", None
    yield "empty", b""
    yield "spaces", b"   "
    yield "a word", b"hello"
    yield "single quotes", b"{'order_id': 1, 'amount': 500}"
    yield "cut off", plain[:-1]
    yield "half a record", plain[: len(plain) // 2]
    yield "two records", plain + plain
    yield "something behind", plain + b"x"
    yield "a trailing comma", plain[:-1] + b",}"
    yield "a comment", plain + b"// thanks"
    yield "a key without quotes", b'{order_id:1,"amount":5}'
    yield "not UTF-8", b'{"order_id":"\xff\xfe","amount":5}'
    yield "Latin-1", b'{"order_id":1,"amount":5,"note":"caf\xe9"}'
    yield "UTF-16", plain.decode().encode("utf-16")
    yield "a byte order mark", b"\xef\xbb\xbf" + plain
    yield "a surrogate in UTF-8", b'{"order_id":"\xed\xa0\x80","amount":5}'
    yield "a type that is a surrogate", spelled("OrderPlaced", ORDER).replace(b"OrderPlaced", b"\\ud800")
    yield "an id that is a surrogate", order_with(order_id="\ud800")
    yield "a field that is a surrogate", b'{"order_id":1,"amount":5,"\\ud800":1}'
    yield "an overlong encoding", b'{"order_id":"\xc0\xaf","amount":5}'
    yield "bytes of zero", b"\0\0\0\0"
    yield "a control character", b'{"order_id":"a\nb","amount":5}'
    yield "gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"
    yield "Avro with a schema id", b"\0\0\0\0\x07\x02o1"
    yield "NaN", b'{"order_id":1,"amount":NaN}'
    yield "Infinity", b'{"order_id":1,"amount":Infinity}'
    yield "-Infinity", b'{"order_id":1,"amount":-Infinity}'
    yield "an exponent that does not fit", b'{"order_id":1,"amount":1e9999999999999999999999}'
    yield "a number of 5,000 digits", b'{"order_id":1,"amount":%s}' % (b"9" * 5_000)
    yield "a name twice", b'{"order_id":1,"order_id":1,"amount":5}'
    yield "a name twice, the second with an escape", b'{"order_id":1,"order\\u005fid":2,"amount":5}'
    yield "a name twice in a line", b'{"order_id":1,"amount":5,"lines":[{"sku":"a","sku":"a","quantity":1}]}'
    yield "the type twice", b'{"type":"OrderPlaced","type":"OrderPlaced","order_id":1,"amount":5}'
    yield "an unknown field, deep", order_with(colour=json.loads("[" * 300 + "]" * 300))
    yield "lists 100,000 deep", b'{"order_id":1,"amount":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    yield "objects 100,000 deep", b'{"order_id":' * 80_000 + b"1" + b"}" * 80_000
    yield "lists 100,000 deep and not closed", b"[" * 100_000
    order = json.dumps(ORDER, separators=(",", ":"))
    yield (
        "a step request with its type twice",
        b'{"type":"PaymentRequested","type":"PaymentRequested","order":%s}' % order.encode(),
    )
    yield (
        "a step request with its reason twice",
        spelled("RefundRequested", {**WHY, "order": ORDER}).replace(
            b'"reason":"requested"', b'"reason":"requested","reason":"requested"'
        ),
    )
    yield (
        "a step request with two orders",
        b'{"type":"PaymentRequested","order":%s,"order":%s}' % ((order.encode(),) * 2),
    )
    yield "a step request with a comma after its last line", step_request(order.replace("}]", "},]"))
    yield (
        "a step request without a comma between its lines",
        step_request(order.replace("}]", '}{"sku":"b","quantity":1}]')),
    )
    yield "a step request with a quantity of 01", step_request(order.replace('"quantity":1', '"quantity":01'))
    yield "a step request that is cut off", step_request(order)[:-1]
    yield "a step request that is not UTF-8", step_request(order).replace(b'"o1"', b'"\xff"')


def _too_large() -> Iterator[tuple[str, bytes]]:
    lines = [{"sku": f"{each:064}", "quantity": 1, "unit_price": "1.00"} for each in range(2_500)]
    yield "an order of 257 KiB", order_with(lines=lines)[:-1] + b" " * 1024 + b"}"
    yield "spaces up to 256 KiB and one", order_with()[:-1].ljust(256 * 1024, b" ") + b"}"
    yield (
        "a step request of 1 MiB and one",
        step_request(json.dumps(ORDER, separators=(",", ":"))).ljust(1024 * 1024 + 1, b" "),
    )
    yield "garbage of 2 MB", b"\xff" * 2_000_000
    yield "a completion of 300 KB", spelled("OrderCompleted", {"order_id": "o1"})[:-1].ljust(300_000) + b"}"


def _by_hand() -> Iterator[tuple[str, bytes]]:
    yield "a list", b"[]"
    yield "a list of a record", b"[" + order_with() + b"]"
    yield "a string", b'"OrderPlaced"'
    yield "a number", b"1"
    yield "null", b"null"
    yield "true", b"true"
    yield "nothing in it", b"{}"
    yield "an unknown type", spelled("OrderPleaced", ORDER)
    yield "a type in small letters", spelled("orderplaced", ORDER)
    yield "a type that is null", spelled("OrderPlaced", ORDER).replace(b'"OrderPlaced"', b"null")
    yield "a type that is a list", spelled("OrderPlaced", ORDER).replace(b'"OrderPlaced"', b"[]")
    yield "a type that is a number", spelled("OrderPlaced", ORDER).replace(b'"OrderPlaced"', b"1")
    yield "the name of a base class", spelled("StepRequest", {"order": ORDER})
    yield "no amount", b'{"order_id":1}'
    yield "a negative amount", order_with(amount="-0.01")
    yield "three digits of pounds", order_with(amount="0.001")
    yield "half a yen", order_with(amount="0.5", currency="JPY")
    yield "four digits of dinars", order_with(amount="0.0001", currency="BHD")
    yield "more than can be paid", order_with(amount="1000000000000.01")
    yield "more than a float can hold", b'{"order_id":1,"amount":9007199254740993.01}'
    yield "a number of 50 digits", b'{"order_id":1,"amount":0.%s}' % (b"1" * 50)
    yield "1e999999", b'{"order_id":1,"amount":1e999999}'
    yield "1e-999999", b'{"order_id":1,"amount":1e-999999}'
    for amount in (
        "1_000",
        "1,000",
        "1e3",
        "£5",
        " 5",
        "5 ",
        "5\n",
        "+5",
        "--5",
        "-",
        ".",
        "1.2.3",
        "0x10",
        "",
        "NaN",
        "sNaN",
        "Infinity",
        "\u0665",
        "5" * 40,
    ):
        yield f"the amount {amount!r}", order_with(amount=amount)
    yield "an amount that is a list", order_with(amount=["5"])
    yield "an amount that is an object", order_with(amount={"value": 5})
    yield "an amount that is true", order_with(amount=True)
    yield (
        "prices and amount that do not agree",
        order_with(lines=[{"sku": "a", "quantity": 1, "unit_price": "1"}]),
    )
    yield "a negative price", order_with(lines=[{"sku": "a", "quantity": 1, "unit_price": "-1"}])
    yield (
        "a negative price beside none",
        order_with(lines=[{"sku": "b", "quantity": 1}, {"sku": "a", "quantity": 1, "unit_price": "-1"}]),
    )
    yield (
        "a price of three digits beside none",
        order_with(lines=[{"sku": "b", "quantity": 1}, {"sku": "a", "quantity": 1, "unit_price": "1.005"}]),
    )
    for quantity in (0, -1, 1_000_001, 1.5, 2.0, "2", True, None, [1], 10**30):
        yield f"the quantity {quantity!r}", order_with(lines=[{"sku": "a", "quantity": quantity}])
    yield (
        "a million and one in two lines",
        order_with(lines=[{"sku": "a", "quantity": 1_000_000}, {"sku": "a", "quantity": 1}]),
    )
    yield "a line without an article", order_with(lines=[{"quantity": 1}])
    yield "a line that is a string", order_with(lines=["a"])
    yield "a line with something else in it", order_with(lines=[{"sku": "a", "quantity": 1, "colour": "red"}])
    yield "2,001 lines", order_with(lines=[{"sku": f"s{each}", "quantity": 1} for each in range(2_001)])
    currencies: list[Any] = ["gbp", "GB", "XXX", "GBPP", "£", "", [], {}, 5, "DEM"]
    for currency in currencies:
        yield f"the currency {currency!r}", order_with(currency=currency)
    unserved: list[Any] = ["UK", "gb", "GBR", "XX", "", [], {}, 5]
    for country in unserved:
        yield f"the country {country!r}", order_with(country=country)
    ids: list[Any] = [
        "",
        " ",
        "a b",
        "a:b",
        "a/b",
        "é",
        "a" * 65,
        "a\n",
        "\n",
        "a\0",
        1.5,
        True,
        [],
        {},
        "<script>",
        10**64,
    ]
    for id_ in ids:
        yield f"the id {id_!r}"[:40], order_with(order_id=id_)
    yield "an unknown field", order_with(colour="red")
    yield "a note of 201 characters", spelled("CancellationRequested", {"order_id": "o1", "note": "x" * 201})
    yield "a deposit of nothing", spelled("FundsDeposited", {**GOOD["FundsDeposited"], "amount": "0.00"})
    yield "a deposit below nothing", spelled("FundsDeposited", {**GOOD["FundsDeposited"], "amount": "-1.00"})
    yield (
        "a deposit of half a penny",
        spelled("FundsDeposited", {**GOOD["FundsDeposited"], "amount": "1.005"}),
    )
    yield "a withdrawal of nothing", spelled("FundsWithdrawn", {**GOOD["FundsWithdrawn"], "amount": "0"})
    for name, fields in (
        ("of nothing", {"lines": [{"sku": "a", "quantity": 0}]}),
        ("that finds damage", {"lines": [{"sku": "a", "quantity": 1}]}),
        ("of an article twice", {"lines": [{"sku": "a", "quantity": -1}] * 2}),
        ("for no known reason", {"reason": "magic"}),
    ):
        yield f"an adjustment {name}", spelled("StockAdjusted", {**GOOD["StockAdjusted"], **fields})
    yield "a delivery of nothing", spelled("StockReceived", {**GOOD["StockReceived"], "lines": []})
    yield (
        "a delivery of two millions in two lines",
        spelled(
            "StockReceived", {**GOOD["StockReceived"], "lines": [{"sku": "a", "quantity": 1_000_000}] * 2}
        ),
    )
    yield "a policy of nothing", spelled("PolicyChanged", {"policy_id": "p1"})
    yield "a policy of both", spelled("PolicyChanged", {"policy_id": "p1", "limit": "1", "countries": ["GB"]})
    yield (
        "a carrier with a limit",
        spelled("PolicyChanged", {"policy_id": "p1", "limit": "1", "carrier": "courier"}),
    )
    yield "a carrier in capitals", spelled("PolicyChanged", {"policy_id": "p1", "carrier": "UPS"})
    yield (
        "done without a reference",
        spelled("StepAnswered", {**GOOD["StepAnswered"], "outcome": "done", "reference": None}),
    )
    yield "an unknown outcome", spelled("StepAnswered", {**GOOD["StepAnswered"], "outcome": "maybe"})
    yield "a payment method without a provider", order_with(payment_method="pm_1")
    yield (
        "a begun payment with a method",
        order_with(payment_method="stripe:pm_1", payment_reference="stripe:pi_1"),
    )
    yield "a begun payment of nothing", order_with(amount="0", payment_reference="stripe:pi_1")
    yield (
        "a patience with a limit",
        spelled("PolicyChanged", {"policy_id": "p1", "limit": "1", "patience": 5}),
    )
    for patience in (0, -1, 604_801, 1.5, "60", True):
        yield f"the patience {patience!r}", order_with(patience=patience)
    yield "a negative limit", spelled("PolicyChanged", {"policy_id": "p1", "limit": "-1"})
    yield "a limit out of reach", spelled("PolicyChanged", {"policy_id": "p1", "limit": "1000000000001"})
    yield "a limit of 1e-3000", b'{"type":"PolicyChanged","policy_id":"p1","limit":1e-3000}'
    yield "an unknown country in a policy", spelled("PolicyChanged", {"policy_id": "p1", "countries": ["UK"]})
    yield "a list in a policy's countries", spelled("PolicyChanged", {"policy_id": "p1", "countries": [[]]})
    yield "a negative attempt", spelled("DeadlinePassed", {**GOOD["DeadlinePassed"], "attempt": -1})
    yield "an attempt that is true", spelled("DeadlinePassed", {**GOOD["DeadlinePassed"], "attempt": True})
    yield "a last that is 1", spelled("DeadlinePassed", {**GOOD["DeadlinePassed"], "last": 1})
    yield (
        "an unknown reason",
        spelled("OrderCancelled", {"order_id": "o1", "reason": "because", "step": "payment"}),
    )
    yield (
        "an unknown step",
        spelled("OrderCancelled", {"order_id": "o1", "reason": "requested", "step": "lunch"}),
    )


def _step_requests() -> Iterator[tuple[str, bytes]]:
    order = json.dumps(ORDER, separators=(",", ":"))
    yield "a step request with an amount of three digits", step_request(order.replace("40.00", "40.000"))
    yield "a step request with an amount without digits", step_request(order.replace("40.00", "40"))
    yield "a step request with a negative amount", step_request(order.replace("40.00", "-40.00"))
    yield "a step request with a huge amount", step_request(order.replace("40.00", "9" * 15 + ".00"))
    yield "a step request in no currency", step_request(order.replace("GBP", "XXX"))
    yield "a step request to no country", step_request(order.replace('"GB"', '"XX"'))
    yield "a step request with a quantity of 0", step_request(order.replace('"quantity":1', '"quantity":0'))
    yield (
        "a step request with a quantity of a million and one",
        step_request(order.replace(":1}", ":1000001}")),
    )
    two = order.replace('[{"sku":"a","quantity":1}]', '[{"sku":"%s","quantity":1},{"sku":"%s","quantity":1}]')
    yield "a step request with lines that are not sorted", step_request(two % ("b", "a"))
    yield "a step request with lines that are not merged", step_request(two % ("a", "a"))
    yield (
        "a step request with a price",
        step_request(order.replace('"quantity":1', '"quantity":1,"unit_price":"1.00"')),
    )
    yield "a step request with a number for an id", step_request(order.replace('"o1"', "1"))
    yield (
        "a step request with an id of 65 characters",
        step_request(order.replace('"o1"', '"' + "a" * 65 + '"')),
    )
    yield "a step request without an order", b'{"type":"PaymentRequested"}'
    yield "a step request with an order that is null", step_request("null")
    yield "a step request with an order that is a string", step_request(json.dumps(order))
    yield "a step request with an order that is a list", step_request("[]")
    yield "a step request with nothing in its order", step_request("{}")
    yield (
        "a step request without lines",
        step_request(order.replace(',"lines":[{"sku":"a","quantity":1}]', "")),
    )
    yield "a step request with something behind its order", step_request(order)[:-1] + b',"x":1}'
    yield "a do with a reason", spelled("PaymentRequested", {**WHY, "order": ORDER})
    yield "an undo without a reason", spelled("RefundRequested", {"order": ORDER})
    yield (
        "an undo with an unknown reason",
        spelled("RefundRequested", {"reason": "x", "step": "payment", "order": ORDER}),
    )
    yield (
        "an undo from an unknown step",
        spelled("RefundRequested", {"reason": "requested", "step": "x", "order": ORDER}),
    )
    yield (
        "an undo with a reason that is null",
        spelled("RefundRequested", {"reason": None, "step": "payment", "order": ORDER}),
    )
    yield "a step request with an unknown field", spelled("PaymentRequested", {"order": ORDER, "x": 1})


#: What is hardly ever right.
ODD: Final[list[Any]] = [None, [], {}, 1.5, True, -1]


def _is_right(type_: str, field: str, value: object) -> bool:
    """True if this odd value is allowed there."""
    match value:
        case None:
            return field in NULLABLE.get(type_, ())
        case True:
            return field == "last"
        case []:
            return (type_, field) == ("OrderPlaced", "lines") or field in ("orders", "order_ids")
        case -1:
            return field in IDS and type_ not in OUR_IDS
        case _:
            return value == 1.5 and field in ("amount", "limit")


def _fields() -> Iterator[tuple[str, bytes]]:
    """Every field of every record: missing, of a wrong type, misspelt; and one that nobody knows."""
    for type_, fields in GOOD.items():
        yield f"{type_} with an unknown field", spelled(type_, {**fields, "unknown": 1})
        for field in fields:
            others = {name: value for name, value in fields.items() if name != field}
            if field not in OPTIONAL.get(type_, ()):
                yield f"{type_} without {field}", spelled(type_, others)
            yield f"{type_} with {field} misspelt", spelled(type_, {**others, f"{field}_": fields[field]})
            for value in ODD:
                if not _is_right(type_, field, value):
                    yield f"{type_} with {field} {value!r}", spelled(type_, {**fields, field: value})


def _card_numbers() -> Iterator[tuple[str, bytes]]:
    for text in CARDS:
        yield f"{text!r} in a note", spelled("CancellationRequested", {"order_id": "o1", "note": text})
    escaped = "".join(f"\\u{ord(digit):04x}" for digit in CARD)
    yield (
        "a card number in escapes",
        b'{"type":"CancellationRequested","order_id":"o1","note":"%s"}' % escaped.encode(),
    )
    yield "a card number in an unknown field", order_with(card=CARD)
    yield "a card number as the name of a field", order_with(**{CARD: 1})
    yield "a card number as a number", order_with(card=int(CARD))
    yield "a card number as an amount", order_with(amount=int(CARD))
    yield "a card number in a list", order_with(cards=[{"x": [CARD]}])
    yield "a card number in a country", order_with(country=CARD)
    yield "a card number with spaces as an id", order_with(customer_id="4111 1111 1111 1111")
    yield "a card number in a step request", spelled("PaymentRequested", {"order": {**ORDER, "note": CARD}})


def _all_kinds() -> Iterator[BadBytes]:
    parts = (
        (Fault.UNREADABLE, "unreadable", _unreadable()),
        (Fault.TOO_LARGE, "too large", _too_large()),
        (Fault.INVALID, "by hand", _by_hand()),
        (Fault.INVALID, "step_request", _step_requests()),
        (Fault.INVALID, "field", _fields()),
        (Fault.CARD_NUMBER, "card number", _card_numbers()),
    )
    for fault, kind, found in parts:
        for name, value in found:
            yield BadBytes(name, value, fault, kind)


def _elsewhere(topic: str) -> Iterator[BadBytes]:
    """Good records that belong into another inbox."""
    for type_, fields in GOOD.items():
        if topics.topic_of(wire.decode(spelled(type_, fields))) != topic and type_ not in _ACCEPTED.get(
            topic, ()
        ):
            yield BadBytes(
                f"{type_} in {topic}", spelled(type_, fields), Fault.UNEXPECTED_RECORD, "elsewhere"
            )


#: Any policy is read in all of them; each takes note of its own parameter only.
_ACCEPTED: Final = dict.fromkeys((topics.CHECKOUT, topics.SHIPPING), ("PolicyChanged",))
CORPUS: Final = tuple(_all_kinds())
#: What every Kafka client sends unless it is told otherwise, headers and all.
_SENT_BY_ANY_CLIENT: Final = 990_000
#: What can be sent to each inbox of it, and what belongs elsewhere.
IN_INBOX: Final = {
    topic: (
        *(bad for bad in CORPUS if len(bad.value or b"") < _SENT_BY_ANY_CLIENT),
        *_elsewhere(topic),
    )
    for topic in topics.INBOXES
}
