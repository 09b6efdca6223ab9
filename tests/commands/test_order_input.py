"""Orders as people write them: in any JSON, each named by its line."""

import io
from codecs import BOM_UTF8

import pytest

from saga_app.commands.order_input import orders_in
from saga_app.core.errors import Rejected

ONE, TWO = '{"order_id": "1", "amount": 5}', '{"order_id": "2", "amount": 19.99}'


def found(text: str | bytes) -> list[tuple[int, str]]:
    """Each order by line and id, or the reason of its refusal."""
    data = text.encode() if isinstance(text, str) else text
    return [
        (line, str(order.fault) if isinstance(order, Rejected) else order.order_id)
        for line, order in orders_in(io.BytesIO(data))
    ]


@pytest.mark.parametrize(
    ("text", "orders"),
    [
        (f"{ONE}\n{TWO}\n", [(1, "1"), (2, "2")]),
        (f"\n{ONE}\r\n\r\n{TWO}", [(2, "1"), (4, "2")]),
        (BOM_UTF8 + ONE.encode(), [(1, "1")]),
        (BOM_UTF8 + f"[{ONE}]".encode(), [(1, "1")]),
        (
            '{\n  "order_id": "1",\n\n  "amount": 5\n}\n{\n  "order_id": "2",\n  "amount": 5\n}',
            [(1, "1"), (6, "2")],
        ),
        (f"[{ONE}, {TWO}]", [(1, "1"), (1, "2")]),
        (f"[\n  {ONE},\n\n  {TWO}\n]\n", [(2, "1"), (4, "2")]),
        ("[]", []),
        ("", []),
    ],
    ids=[
        "lines",
        "gaps",
        "mark",
        "mark and array",
        "pretty",
        "array",
        "array of lines",
        "no order",
        "nothing",
    ],
)
def test_orders_are_found_in_every_form(text: str | bytes, orders: list[tuple[int, str]]) -> None:
    assert found(text) == orders


@pytest.mark.parametrize(
    ("text", "orders"),
    [
        (f"bad\n{ONE}", [(1, "unreadable"), (2, "1")]),
        (f'{{"order_id": 1,\n{TWO}\n{ONE}', [(1, "unreadable"), (2, "2"), (3, "1")]),
        (f"{ONE} {TWO}\n{ONE}", [(1, "unreadable"), (2, "1")]),
        (f'[{ONE},\n5,\n{{"order_id": "3"}}]', [(1, "1"), (2, "invalid"), (3, "invalid")]),
        ('{"type": "CancellationRequested", "order_id": "1"}', [(1, "invalid")]),
    ],
    ids=["text", "cut object", "two in a line", "array", "another record"],
)
def test_a_bad_order_is_named_by_its_line_and_hides_no_other(
    text: str, orders: list[tuple[int, str]]
) -> None:
    assert found(text) == orders


@pytest.mark.parametrize(
    "text", [f"[{ONE}", f"[{ONE} {TWO}]", f"[{ONE},]", f"[{ONE}] {TWO}", f"[{ONE}, \xff]"]
)
def test_of_an_array_that_cannot_be_read_nothing_is_taken(text: str) -> None:
    assert found(text) == [(1, "unreadable")]


def test_an_amount_keeps_its_digits() -> None:
    (only,) = orders_in(io.BytesIO(b'[{"order_id": "1", "amount": 0.10}]'))
    assert not isinstance(only.order, Rejected) and str(only.order.amount) == "0.10"
