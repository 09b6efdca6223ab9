"""Good input: what people may write, and what we write ourselves, comes back as it was."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from saga_app import wire
from saga_app.core import fields, money, records
from saga_app.core.countries import CODES
from saga_app.core.order import Line, Order, PricedLine
from saga_app.core.records import OrderPlaced, Reason, Record, RefundReason, StepName
from saga_app.core.refund import Refund
from tests.support.corpus import GOOD, IDS, NOT_CARDS, OPTIONAL, ORDER, OUR_IDS, order_with, spelled
from tests.support.examples import CAPTURED_LATER
from tests.support.profiles import examples

IDENTIFIERS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}", fullmatch=True)
PROVIDERS = st.from_regex(fields.PROVIDER, fullmatch=True)
#: Without digits: none of them is taken for a card number.
PROVIDED = st.from_regex(r"[a-z][a-z_]{0,15}:[A-Za-z][A-Za-z_-]{0,199}", fullmatch=True)
QUANTITIES = st.integers(1, 1_000_000)
CURRENCIES = st.sampled_from(sorted(money.DIGITS))
PATIENCES = st.integers(1, 604_800)
COUNTRIES = st.sampled_from(sorted(CODES))
LINES = st.dictionaries(IDENTIFIERS, QUANTITIES, max_size=5).map(
    lambda found: tuple(Line(sku=sku, quantity=found[sku]) for sku in sorted(found))
)


def amounts(currency: str, least: int = 0) -> st.SearchStrategy[Decimal]:
    return (
        st.integers(least, 10**13 - 1)
        .map(lambda number: Decimal(number).scaleb(-money.DIGITS[currency]))
        .filter(lambda amount: amount <= money.LARGEST)
    )


@st.composite
def orders(draw: st.DrawFn) -> Order:
    currency = draw(CURRENCIES)
    begun = draw(st.booleans())
    return Order(
        order_id=draw(IDENTIFIERS),
        customer_id=draw(st.none() | IDENTIFIERS),
        currency=currency,
        amount=draw(amounts(currency, int(begun))),
        country=draw(st.none() | COUNTRIES),
        payment_method=None if begun else draw(st.none() | PROVIDED),
        payment_reference=draw(PROVIDED) if begun else None,
        patience=draw(st.none() | PATIENCES),
        warehouse=draw(IDENTIFIERS),
        lines=draw(LINES),
        route=draw(st.none() | st.just(CAPTURED_LATER)),
    )


@st.composite
def deposits(draw: st.DrawFn) -> records.FundsDeposited:
    currency = draw(CURRENCIES)
    return records.FundsDeposited(
        deposit_id=draw(IDENTIFIERS),
        customer_id=draw(IDENTIFIERS),
        currency=currency,
        amount=draw(amounts(currency, 1)),
    )


@st.composite
def orders_placed(draw: st.DrawFn) -> OrderPlaced:
    currency = draw(CURRENCIES)
    price = amounts(currency)
    return OrderPlaced(
        order_id=draw(IDENTIFIERS),
        amount=draw(price),
        customer_id=draw(st.none() | IDENTIFIERS),
        currency=currency,
        lines=tuple(PricedLine(sku=sku, quantity=1) for sku in draw(st.lists(IDENTIFIERS, max_size=4))),
        country=draw(st.none() | COUNTRIES),
        patience=draw(st.none() | PATIENCES),
        warehouse=draw(IDENTIFIERS),
    )


DOS = (
    records.PaymentRequested,
    records.ReservationRequested,
    records.ShipmentRequested,
    records.CaptureRequested,
)
UNDOS = (records.RefundRequested, records.ReleaseRequested, records.ShipmentCancellationRequested)
TURNED: dict[str, Any] = {"reason": st.sampled_from(Reason), "step": st.sampled_from(StepName)}
SEGMENTS = st.none() | st.from_regex(r"[0-9]{1,4}:[0-9]{1,16}", fullmatch=True)
NUMBERS = st.integers(0, 10**12)
BELOW = st.integers(0, records.MOST_SEGMENTS)
NOTES = st.none() | st.text(st.characters(codec="utf-8", exclude_categories=["Nd"]), max_size=200)
RETURNED = st.lists(st.builds(Line, sku=IDENTIFIERS, quantity=st.integers(1, 9)), max_size=3).map(tuple)
REFUNDS = st.builds(
    Refund,
    refund_id=IDENTIFIERS,
    amount=st.decimals("0.00", 10**12, places=2),
    lines=RETURNED,
    restock=st.booleans(),
)
RECORDS: dict[str, st.SearchStrategy[Any]] = {
    "OrderPlaced": orders_placed(),
    "CancellationRequested": st.builds(records.CancellationRequested, order_id=IDENTIFIERS, note=NOTES),
    "DeadlinePassed": st.builds(
        records.DeadlinePassed, order_id=IDENTIFIERS, attempt=st.integers(0, 10**9), last=st.booleans()
    ),
    "RefundOpened": st.builds(
        records.RefundOpened,
        order_id=IDENTIFIERS,
        refund_id=IDENTIFIERS,
        amount=st.just(Decimal("1.50")),
        lines=RETURNED,
        restock=st.just(False),
        note=NOTES,
    ),
    "RefundCompleted": st.builds(
        records.RefundCompleted, order_id=IDENTIFIERS, refund_id=IDENTIFIERS, segment=SEGMENTS
    ),
    "RefundRefused": st.builds(
        records.RefundRefused,
        order_id=IDENTIFIERS,
        refund_id=IDENTIFIERS,
        reason=st.sampled_from(RefundReason),
        segment=SEGMENTS,
    ),
    **{
        model.__name__: st.builds(model, order=orders(), segment=SEGMENTS, refund=REFUNDS)
        for model in (records.RepaymentRequested, records.RestockRequested)
    },
    "OrderCompleted": st.builds(records.OrderCompleted, order_id=IDENTIFIERS, segment=SEGMENTS),
    "OrderCancelled": st.builds(records.OrderCancelled, order_id=IDENTIFIERS, segment=SEGMENTS, **TURNED),
    **{model.__name__: st.builds(model, order=orders(), segment=SEGMENTS) for model in DOS},
    **{model.__name__: st.builds(model, order=orders(), segment=SEGMENTS, **TURNED) for model in UNDOS},
    "RetentionStarted": st.builds(
        records.RetentionStarted, partition=NUMBERS, segment_width=st.integers(1, 64)
    ),
    "SegmentsClosed": st.builds(
        records.SegmentsClosed,
        partition=NUMBERS,
        first_segment=NUMBERS,
        below_segment=BELOW,
        retention_ms=NUMBERS,
        partition_count=st.just(8),
        orders=st.lists(
            st.builds(
                records.EvictedOrder, order_id=IDENTIFIERS, partitions=st.tuples(*[st.integers(0, 7)] * 3)
            ),
            max_size=3,
        ).map(tuple),
    ),
    "SegmentsPurged": st.builds(
        records.SegmentsPurged,
        partition=NUMBERS,
        first_segment=NUMBERS,
        below_segment=NUMBERS,
        retention_ms=NUMBERS,
    ),
    "OrdersEvicted": st.builds(
        records.OrdersEvicted,
        partition=NUMBERS,
        step=st.sampled_from([StepName.PAYMENT, StepName.INVENTORY, StepName.SHIPPING]),
        checkout_partition=NUMBERS,
        first_segment=NUMBERS,
        below_segment=BELOW,
        order_ids=st.lists(IDENTIFIERS, max_size=3, unique=True).map(tuple),
    ),
    "StepAnswered": st.builds(
        records.StepAnswered,
        order_id=IDENTIFIERS,
        segment=SEGMENTS,
        step=st.sampled_from(StepName),
        key=IDENTIFIERS,
        outcome=st.sampled_from(records.Outcome),
        version=st.none() | NUMBERS,
        reference=st.from_regex(r"[A-Za-z0-9._:/-]{1,200}", fullmatch=True),
        reason=st.none() | st.sampled_from(Reason),
        code=st.none() | st.from_regex(r"[A-Za-z_-]{1,64}", fullmatch=True),
        detail=NOTES,
        capture_before=st.none() | st.integers(0, 10**10),
    ),
    "FundsDeposited": deposits(),
    "StockReceived": st.builds(
        records.StockReceived, delivery_id=IDENTIFIERS, warehouse=IDENTIFIERS, lines=LINES.filter(bool)
    ),
    "FundsWithdrawn": st.builds(
        lambda deposit, **fields: records.FundsWithdrawn(
            customer_id=deposit.customer_id, currency=deposit.currency, amount=deposit.amount, **fields
        ),
        deposits(),
        withdrawal_id=IDENTIFIERS,
        reason=st.sampled_from(records.FundsReason),
        note=NOTES,
    ),
    "StockAdjusted": st.builds(
        records.StockAdjusted,
        adjustment_id=IDENTIFIERS,
        warehouse=IDENTIFIERS,
        reason=st.just(records.StockReason.STOCKTAKE),
        lines=st.lists(
            st.builds(
                records.AdjustedLine,
                sku=IDENTIFIERS,
                quantity=st.integers(-1_000_000, 1_000_000).filter(bool),
            ),
            min_size=1,
            max_size=4,
            unique_by=lambda line: line.sku,
        ).map(tuple),
        note=NOTES,
    ),
    "PolicyChanged": st.builds(
        records.PolicyChanged, policy_id=IDENTIFIERS, limit=st.decimals(0, 10**12, places=2)
    )
    | st.builds(
        records.PolicyChanged, policy_id=IDENTIFIERS, countries=st.lists(COUNTRIES, max_size=5).map(tuple)
    )
    | st.builds(records.PolicyChanged, policy_id=IDENTIFIERS, carrier=PROVIDERS)
    | st.builds(records.PolicyChanged, policy_id=IDENTIFIERS, patience=PATIENCES),
}


def test_every_type_of_record_is_tried() -> None:
    assert set(RECORDS) == {model.__name__ for model in records.Record.__args__} == set(GOOD)


@pytest.mark.parametrize("type_", RECORDS)
@for_all(data=st.data())
@examples(40)
def test_a_record_that_is_written_and_read_is_the_same(type_: str, data: st.DataObject) -> None:
    record: Record = data.draw(RECORDS[type_])
    value = wire.encode(record)
    again = wire.decode(value)
    assert again == record
    assert wire.encode(again) == value
    assert value.startswith(b'{"type":"%s",' % type_.encode())


@pytest.mark.parametrize("type_", GOOD)
def test_a_good_record_is_read(type_: str) -> None:
    assert wire.decode(spelled(type_, GOOD[type_])).type == type_


@pytest.mark.parametrize("type_", GOOD)
def test_layout_does_not_matter(type_: str) -> None:
    """Spaces, another sequence of the fields, escapes: a step request that a person wrote is the same step request."""
    plain = wire.decode(spelled(type_, GOOD[type_]))
    fields = {"type": type_, **GOOD[type_]}
    for other in (
        json.dumps(fields, indent=2),
        json.dumps(dict(reversed(fields.items()))),
        json.dumps(fields, sort_keys=True, separators=(" , ", " : ")),
        json.dumps(fields, separators=(",", ":")) + "\n",
        json.dumps(fields, separators=(",", ":")).replace('"o1"', '"\\u006f1"'),
        json.dumps(fields, separators=(",", ":")).replace('"type"', '"\\u0074ype"'),
    ):
        again = wire.decode(other.encode())
        assert again == plain
        assert wire.encode(again) == wire.encode(plain)


@pytest.mark.parametrize("type_", [name for name, fields in GOOD.items() if "order" in fields])
@for_all(order=orders())
@examples(30)
def test_a_step_request_in_another_layout_carries_the_same_order(type_: str, order: Order) -> None:
    """Read the fast way and read with care: the same bytes of the order, so the same content."""
    fields = {**GOOD[type_], "order": order.model_dump(exclude_none=True)}
    ours: Any = wire.decode(spelled(type_, fields))
    theirs: Any = wire.decode(json.dumps({"type": type_, **fields}, indent=1).encode())
    assert ours == theirs
    assert ours.order.canonical == theirs.order.canonical == order.canonical
    assert ours.order.digest == theirs.order.digest


@pytest.mark.parametrize("amount", ["040.00", "0040.00", "00.00"])
def test_zeros_before_an_amount_are_no_other_content(amount: str) -> None:
    step_request: Any = wire.decode(spelled("PaymentRequested", {"order": {**ORDER, "amount": amount}}))
    assert step_request.order.canonical == Order.model_validate(step_request.order.model_dump()).canonical


def test_an_order_may_leave_out_its_type() -> None:
    assert wire.decode(b'{"order_id": 1, "amount": 500}') == OrderPlaced(order_id="1", amount=Decimal(500))


@pytest.mark.parametrize(
    ("type_", "field"), [(name, field) for name in OPTIONAL for field in sorted(OPTIONAL[name])]
)
def test_optional_fields_may_be_left_out(type_: str, field: str) -> None:
    wire.decode(spelled(type_, {name: value for name, value in GOOD[type_].items() if name != field}))


@pytest.mark.parametrize(
    ("type_", "field"),
    [(name, field) for name in GOOD if name not in OUR_IDS for field in sorted(IDS & GOOD[name].keys())],
)
def test_people_may_write_a_number_for_an_id(type_: str, field: str) -> None:
    assert getattr(wire.decode(spelled(type_, {**GOOD[type_], field: 7})), field) == "7"


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        ("500", "500"),
        ("500.00", "500"),
        ("1e2", "100"),
        ("1E+2", "100"),
        ("0.1", "0.1"),
        ("-0.0", "0"),
        ('"12.50"', "12.5"),
        ('"007"', "7"),
        ("999999999999.99", "999999999999.99"),
    ],
)
def test_an_amount_is_a_number_or_a_string_of_digits_and_stays_exact(written: str, amount: str) -> None:
    record = wire.decode(b'{"order_id":1,"amount":%s}' % written.encode())
    assert isinstance(record, OrderPlaced)
    assert record.order.amount == Decimal(amount)
    assert wire.decode(wire.encode(record)) == record


@pytest.mark.parametrize("text", NOT_CARDS)
def test_numbers_that_are_no_card_numbers_may_be_written(text: str) -> None:
    wire.decode(spelled("CancellationRequested", {"order_id": "o1", "note": text}))


@pytest.mark.parametrize("field", ["order_id", "customer_id", "warehouse"])
@pytest.mark.parametrize("value", ["4222222222222", 9111111111111111, "4111-1111-1111-1112"])
def test_an_id_may_be_a_long_number_that_no_issuer_gives_out(field: str, value: str | int) -> None:
    wire.decode(order_with(**{field: value}))
