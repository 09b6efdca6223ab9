"""The reason of a dead letter names every wrong field, in words for people."""

import pytest

from saga_app import wire
from saga_app.core.errors import Fault, Rejected


def reason(value: bytes) -> Rejected:
    with pytest.raises(Rejected) as refused:
        wire.decode(value)
    return refused.value


def test_every_wrong_field_is_named_in_words() -> None:
    detail = reason(
        b'{"order_id":"a b","amount":"x","colour":1,"currency":"EURO","lines":{},"warehouse":7.5}'
    ).detail
    assert detail.split("; ") == [
        "order_id: must be 1 to 64 of A-Z a-z 0-9 . _ - and begin with none of . -",
        "amount: must be a number or a string of digits, for example 12.50",
        "currency: not an active ISO 4217 currency code",
        "lines: must be a list",
        "warehouse: must be a string",
        "colour: is no field of this record",
    ]


def test_missing_fields_are_named_together() -> None:
    detail = reason(b'{"type":"FundsDeposited"}').detail
    assert detail == "deposit_id: is missing; customer_id: is missing; amount: is missing"


def test_wrong_fields_that_find_no_room_are_counted() -> None:
    fields = b",".join(b'"field%03d":1' % number for number in range(100))
    detail = reason(b'{"order_id":1,"amount":1,%s}' % fields).detail
    named = detail.count("is no field of this record")
    assert detail.endswith(f"; and {100 - named} more")
    assert named > 10 and len(detail) <= wire.LONGEST_DETAIL


@pytest.mark.parametrize("id_", [".", "..", "-", "-x", ".hidden", "", "a/b", "x" * 65])
@pytest.mark.parametrize("field", ["order_id", "customer_id", "warehouse"])
def test_an_id_that_no_address_or_command_could_take_is_refused(field: str, id_: str) -> None:
    order = {"order_id": "1", field: id_}
    fields = ",".join(f'"{name}":"{value}"' for name, value in order.items())
    refused = reason(b'{"amount":1,%s}' % fields.encode())
    assert refused.fault is Fault.INVALID and refused.detail.startswith(f"{field}: must be 1 to 64")


@pytest.mark.parametrize("id_", ["a.", "_", "0-1", "a..b", "x" * 64])
def test_points_and_hyphens_may_follow_the_first_character(id_: str) -> None:
    record = wire.decode(b'{"order_id":"%s","amount":1}' % id_.encode())
    assert record.order_id == id_  # type: ignore[union-attr]


def test_a_byte_order_mark_is_named() -> None:
    refused = reason(b'\xef\xbb\xbf{"order_id":1,"amount":1}')
    assert (refused.fault, refused.detail) == (
        Fault.UNREADABLE,
        "it begins with a byte order mark (BOM); send UTF-8 without one",
    )


@pytest.mark.parametrize(
    ("number", "detail"),
    [
        (b"1e999999999999999999999", "a number is too large or too small, line 1 column 47"),
        (b"1e99", "amount: must be at most 1000000000000"),
        (b"1e-99", "amount: has more than 8 digits after the point"),
    ],
)
def test_a_number_with_a_huge_exponent_is_called_too_large_or_too_small(number: bytes, detail: str) -> None:
    assert reason(b'{"order_id":1,"amount":%s}' % number).detail == detail


@pytest.mark.parametrize(("amount", "is_refused"), [(b"13.99", True), (b"14", False), (b"15", False)])
def test_an_order_whose_lines_are_priced_in_part_costs_at_least_these(
    amount: bytes, is_refused: bool
) -> None:
    lines = b'[{"sku":"a","quantity":2,"unit_price":7},{"sku":"b","quantity":2}]'
    value = b'{"order_id":1,"amount":%s,"lines":%s}' % (amount, lines)
    if is_refused:
        assert reason(value).detail == "amount 13.99 is less than the lines that have a price, 14.00"
    else:
        assert wire.decode(value).order.amount == int(amount)  # type: ignore[union-attr]
