"""A decoder parses an order once while it is under way, and never keeps more than its limit."""

from decimal import Decimal

from saga_app import wire
from saga_app.core.order import Line, Order
from saga_app.core.records import OrderPlaced, PaymentRequested, RefundRequested
from saga_app.wire import BoundedCache, Decoder


def order(number: int, lines: int = 1) -> Order:
    return Order(
        order_id=f"kept-{number}",
        currency="GBP",
        amount=Decimal("1.00"),
        warehouse="main",
        lines=tuple(Line(sku=f"{each:04d}", quantity=1) for each in range(lines)),
    )


def test_an_order_is_read_once_for_all_of_its_step_requests() -> None:
    decoder = Decoder()
    placed = decoder.decode(b'{"order_id":"kept-once","amount":"1.00"}')
    assert isinstance(placed, OrderPlaced)
    asked = decoder.decode(wire.encode(PaymentRequested(order=placed.order)))
    undo = decoder.decode(b'{"type":"RefundRequested","reason":"requested","step":"checkout","order":%s}'
                       % placed.order.canonical)  # fmt: skip
    assert isinstance(asked, PaymentRequested)
    assert isinstance(undo, RefundRequested)
    assert asked.order is placed.order
    assert undo.order is placed.order


def test_a_record_on_its_own_leaves_nothing_behind() -> None:
    value = b'{"order_id":"on-its-own","amount":"1.00"}'
    first, second = wire.decode(value), wire.decode(value)
    assert isinstance(first, OrderPlaced) and isinstance(second, OrderPlaced)
    assert first.order is not second.order


def test_what_is_kept_never_passes_its_bytes() -> None:
    kept = BoundedCache[Order](5_000)
    for number in range(300):
        each = order(number, lines=number % 40)
        kept.keep(each.canonical, each)
        assert kept.bytes == sum(map(len, kept.found)) <= 5_000


def test_the_younger_half_stays() -> None:
    kept, orders = BoundedCache[Order](1_000), [order(number) for number in range(10, 60)]
    for each in orders:
        kept.keep(each.canonical, each)
    assert list(kept.found.values()) == orders[-len(kept.found) :]
    assert kept.bytes > 1_000 // 2 - len(orders[0].canonical)


def test_what_is_larger_than_all_room_is_not_kept() -> None:
    kept = BoundedCache[str](1_000)
    kept.keep(b"x" * 1_001, "large")
    assert not kept.found
    assert kept.bytes == 0


def test_what_comes_again_takes_no_more_room() -> None:
    kept = BoundedCache[str](5_000)
    kept.keep(b"same", "first")
    kept.keep(b"same", "second")
    assert (kept.bytes, kept.found) == (4, {b"same": "first"})


def test_what_is_taken_leaves_its_room() -> None:
    kept = BoundedCache[str](5_000)
    kept.keep(b"same", "first")
    assert (kept.take(b"same"), kept.take(b"same"), kept.bytes) == ("first", None, 0)
