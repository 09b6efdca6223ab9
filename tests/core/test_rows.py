"""Rows: one spelling as bytes, which begins with the version."""

from decimal import Decimal

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from pydantic_core import to_json

from saga_app.core.numbers import Offset, version_at
from saga_app.core.records import Reason, StepName
from saga_app.core.retention.rows import ClosedSegments, EarlyCancellation, LowWatermark, Segment, Total
from saga_app.core.rows import (
    ASKED_STATES,
    Account,
    ClosedOrder,
    JournalRow,
    OrderRow,
    OutsideEffect,
    Row,
    State,
    Status,
    Stock,
    Tombstone,
    is_asked,
    version_of,
)
from tests.support.examples import account, order

OFFSETS = st.integers(0, 2**60)
IDS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}", fullmatch=True)
SEGMENTS = st.none() | st.from_regex(r"[0-9]{1,4}:[0-9]{1,16}", fullmatch=True)
MONEY = st.decimals(-(10**12), 10**12, places=2)
ORDER_ROWS = st.builds(
    lambda turned, **fields: OrderRow(**fields, reason=turned and turned[0], step=turned and turned[1]),
    turned=st.none() | st.tuples(st.sampled_from(Reason), st.sampled_from(StepName)),
    version=OFFSETS,
    status=st.sampled_from(Status),
    placed_at=OFFSETS,
    tries=st.integers(0, 99),
    since=OFFSETS,
    order=IDS.map(lambda each: order(each, lines=[("a", 1)]).canonical),
    ended_at=st.none() | OFFSETS,
    segment=SEGMENTS,
    patience=st.none() | st.integers(1, 604_800),
    cancelled_first=st.booleans(),
)
JOURNAL_ROWS = st.builds(
    lambda turned, **fields: JournalRow(**fields, reason=turned and turned[0], step=turned and turned[1]),
    turned=st.none() | st.tuples(st.sampled_from(Reason), st.sampled_from(StepName)),
    version=OFFSETS,
    state=st.sampled_from(State),
    content=st.just("0123456789abcdef"),
    done_at=st.none() | OFFSETS,
    undone_at=st.none() | OFFSETS,
    segment=SEGMENTS,
    moves=st.none()
    | st.dictionaries(IDS, MONEY, min_size=1)
    | st.dictionaries(IDS, st.integers(), min_size=1),
    limit=st.none() | MONEY,
    countries=st.none() | st.lists(st.sampled_from(["GB", "FR"])).map(tuple),
    carrier=st.none() | st.just("courier"),
    patience=st.none() | st.integers(1, 604_800),
    conflict=st.none() | st.just("done:pi_2"),
    outside=st.none()
    | st.builds(
        OutsideEffect,
        provider=st.just("stripe"),
        asked_at=OFFSETS,
        order=IDS.map(lambda each: order(each, payment_method="stripe:pm_1").canonical),
        reference=st.none() | st.just("pi_1"),
        tries=st.integers(0, 99),
        code=st.none() | st.just("card_declined"),
    ),
)
NAMES = st.lists(st.sampled_from(("o1", "o2"))).map(tuple)
ROWS: st.SearchStrategy[Row] = st.one_of(
    ORDER_ROWS,
    JOURNAL_ROWS,
    st.builds(Account, OFFSETS, MONEY, MONEY),
    st.builds(Stock, OFFSETS, st.integers(0), st.integers(0)),
    st.builds(ClosedOrder, OFFSETS, st.sampled_from(Status), st.just("3:12"), st.just("0123456789abcdef")),
    st.builds(Segment, OFFSETS, st.just("3:12"), NAMES, NAMES),
    st.builds(EarlyCancellation, OFFSETS, OFFSETS, st.none() | st.just("3:12"), st.none() | OFFSETS),
    st.builds(ClosedSegments, OFFSETS, st.just("3:12"), NAMES, OFFSETS, OFFSETS),
    st.builds(LowWatermark, OFFSETS, OFFSETS, st.none() | OFFSETS, st.none() | OFFSETS),
    st.builds(Total, OFFSETS, st.integers() | st.just(Decimal("-12.50"))),
)


@for_all(JOURNAL_ROWS)
def test_a_row_that_asks_is_known_without_parsing_it(row: JournalRow) -> None:
    assert is_asked(row.encode()) == (row.state in ASKED_STATES)


@for_all(ROWS)
def test_a_row_read_back_is_the_same_row_and_the_same_bytes(row: Row) -> None:
    data = row.encode()
    assert not isinstance(row, Tombstone)
    assert type(row).decode(data) == row
    assert type(row).decode(data).encode() == data


@for_all(ROWS)
def test_a_row_is_spelled_as_a_serializer_spells_it(row: Row) -> None:
    assert not isinstance(row, Tombstone)
    fields = {
        name: value for name, value in row._asdict().items() if value is not None and value is not False
    }
    if fields.get("cancelled_ids") == ():
        del fields["cancelled_ids"]
    if isinstance(row, OrderRow | JournalRow):
        # `tests/core/test_refunds.py` and `test_refund_step.py` have rows with refunds.
        del fields["refunds"]
    if (outside := fields.pop("outside", None)) is not None:
        written = {"provider": 0, "asked_at": 0, "tries": 0, "reference": 0, "code": 0} | outside._asdict()
        fields |= {name: value for name, value in written.items() if value is not None}
    order = b',"order":%s}' % fields.pop("order") if "order" in fields else b"}"
    assert row.encode() == to_json(fields)[:-1] + order


@for_all(ROWS)
def test_a_row_begins_with_its_version(row: Row) -> None:
    assert row.encode().startswith(b'{"version":%d,' % row.version)
    assert version_of(row.encode()) == row.version


@pytest.mark.parametrize("data", [b"", b"{}", b'{ "version":1,', b'{"a":1,"version":2}', b'{"version":1}'])
def test_a_value_without_our_beginning_is_no_row_of_ours(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"version|not found"):
        version_of(data)


def test_absent_fields_are_left_out() -> None:
    assert (
        JournalRow(version_at(7), State.VOID, "c").encode() == b'{"version":7,"state":"VOID","content":"c"}'
    )


def test_money_is_a_string_with_its_digits() -> None:
    row = account(1, "9007199254740993.01", "0.10")
    assert row.encode() == b'{"version":1,"deposited":"9007199254740993.01","balance":"0.10"}'


def test_the_row_of_an_order_holds_it_as_it_is_spelled() -> None:
    canonical = order(lines=[("a", 1)]).canonical
    row = OrderRow(version_at(3), Status.OPEN, Offset(3), 0, 5, canonical)
    assert row.encode() == (
        b'{"version":3,"status":"OPEN","placed_at":3,"tries":0,"since":5,"order":%s}' % canonical
    )
