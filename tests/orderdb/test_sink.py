"""Batches that are written to a real database of each kind, without Kafka."""

from decimal import Decimal

import pytest
from sqlalchemy.exc import IntegrityError

from harness.copies import contents, rows
from saga_app import topics, wire
from saga_app.core.errors import Fault, Rejected
from saga_app.core.numbers import Offset, version_at
from saga_app.core.records import Record
from saga_app.core.retention.rows import ClosedSegments, LowWatermark, Total
from saga_app.core.rows import ClosedOrder, OrderRow, Status
from saga_app.dead_letters import format as letter_format
from saga_app.kafka import messages
from saga_app.orderdb import schema
from saga_app.orderdb.copy.sink import Overtaken
from saga_app.orderdb.copy.source_topics import SourceTopics
from saga_app.orderdb.database import DatabaseWrong, is_down
from tests.orderdb.batches import SOURCE, FakeMessage, OrderCopy, batch
from tests.support.examples import account, cancelled, order, placed

ORDERS, ACCOUNTS, PAYMENTS = (f"saga-{table}-changelog" for table in ("orders", "accounts", "payments"))


def row(
    version: int, status: Status = Status.OPEN, since: int = 5_000, ended_at: int | None = None
) -> FakeMessage:
    """An order's row."""
    content = order(lines=[("MUG", 2)]).canonical
    encoded = OrderRow(version_at(version), status, Offset(7), 0, since, content, ended_at).encode()
    return FakeMessage(ORDERS, version, encoded, b"o1")


def event(offset: int, record: Record, time: int = 0) -> FakeMessage:
    return FakeMessage(topics.CHECKOUT, offset, wire.encode(record), time=time)


def letter(offset: int, time: int) -> FakeMessage:
    original = messages.Message(Offset(9), 8, b"key", b"value\x00")
    headers = letter_format.dead_letter(
        topics.PAYMENT, 2, original, Rejected(Fault.INVALID, "a\x00b")
    ).headers
    return FakeMessage(topics.DEAD_LETTERS, offset, b"value\x00", b"key", time, headers)


def test_a_repeated_batch_changes_nothing(copy: OrderCopy):
    batch = (row(7), event(7, placed()), letter(0, 99))
    copy.write(*batch)
    before = contents(copy.settings)
    copy.write(*batch)
    assert contents(copy.settings) == before


def test_an_older_row_never_replaces_a_newer_one(copy: OrderCopy):
    copy.write(row(9, Status.COMPLETED))
    copy.write(row(7))
    assert (copy.order()["version"], copy.order()["status"]) == (9, "COMPLETED")
    copy.write(row(12, Status.CANCELLED), row(8))
    assert (copy.order()["version"], copy.order()["status"]) == (12, "CANCELLED")


def test_an_evicted_order_stays_as_it_was(copy: OrderCopy):
    copy.write(row(9, Status.COMPLETED))
    before = contents(copy.settings)
    small = ClosedOrder(version_at(20), Status.COMPLETED, "3:0", "digest").encode()
    closed = ClosedSegments(version_at(20), "3:0", ("o1",), first_segment=0, closed_at=1).encode()
    copy.write(
        FakeMessage(ORDERS, 20, small, b"o1"),
        FakeMessage(ORDERS, 21, closed, b"closed:1"),
        FakeMessage(ORDERS, 22, LowWatermark(version_at(20), 1).encode(), b"low_watermark:3"),
        FakeMessage(ORDERS, 23, None, b"o1"),
        FakeMessage(PAYMENTS, 5, Total(version_at(20), Decimal("-1.00")).encode(), b"evicted:c1:GBP"),
        FakeMessage(PAYMENTS, 6, None, b"o1"),
    )
    assert {name: rows for name, rows in contents(copy.settings).items() if name != "copied"} == {
        name: rows for name, rows in before.items() if name != "copied"
    }


def test_an_order_gets_its_time_from_the_record_that_placed_it_whatever_is_copied_first(copy: OrderCopy):
    copy.write(row(9, Status.COMPLETED, since=9_000))
    assert copy.order()["placed_at"] == 9_000
    copy.write(event(7, placed(), time=6_999))
    assert copy.order()["placed_at"] == 6_999
    copy.write(row(11, Status.COMPLETED, since=12_000), event(8, placed(), time=8_888))
    assert copy.order()["placed_at"] == 6_999


def test_rows_and_offsets_are_written_together_or_not_at_all(copy: OrderCopy):
    before = contents(copy.settings)
    broken = batch(row(7), event(8, placed()))
    broken.tables[schema.order_events][topics.CHECKOUT, 3, 8]["order_id"] = None
    with pytest.raises(IntegrityError) as error:
        copy.run(copy.sink.write, broken, {(ORDERS, 3): 8}, SOURCE, copy.batches)
    assert not is_down(error.value)
    assert contents(copy.settings) == before


def test_of_two_writers_the_second_writes_nothing(copy: OrderCopy):
    other = copy.run(copy.sink.begin, SOURCE).batches
    copy.write(row(7))
    before = contents(copy.settings)
    with pytest.raises(Overtaken):
        copy.run(copy.sink.write, batch(row(9)), {(ORDERS, 3): 10}, SOURCE, other)
    assert contents(copy.settings) == before
    assert copy.run(copy.sink.begin, SOURCE).next == {(ORDERS, 3): 8}


def test_a_writer_does_not_go_on_after_the_database_was_emptied(copy: OrderCopy):
    copy.write(row(7))
    copy.run(copy.sink.empty)
    with pytest.raises(Overtaken):
        copy.write(row(9))
    assert not any(contents(copy.settings).values())


def test_what_may_be_nowhere_else_is_not_removed(copy: OrderCopy):
    copy.write(row(9, Status.COMPLETED, ended_at=5_000))
    before = contents(copy.settings)
    with pytest.raises(DatabaseWrong, match="1 of its orders ended"):
        copy.run(copy.sink.empty, 5_001)
    assert contents(copy.settings) == before
    copy.run(copy.sink.empty, 5_000)
    assert not any(contents(copy.settings).values())


def renewed(topic: str) -> SourceTopics:
    """The topics, of which this one was made anew."""
    return SOURCE._replace(topic_ids={**SOURCE.topic_ids, topic: "another"})


def test_an_inbox_made_anew_empties_the_copy(copy: OrderCopy):
    copy.write(row(7), event(8, placed("o1")))
    position = copy.run(copy.sink.begin, renewed(topics.CHECKOUT))
    assert position.emptied and position.renewed == [topics.CHECKOUT] and position.next == {}
    assert not any(contents(copy.settings).values())
    with pytest.raises(Overtaken):
        copy.write(row(9))


def test_of_a_changelog_made_anew_every_row_replaces_the_old_one_and_evicted_orders_stay(copy: OrderCopy):
    copy.write(row(9, Status.CANCELLING))
    copy.write(FakeMessage(ACCOUNTS, 9, account(9, "1.00", "1.00").encode(), b"ada:GBP"))
    position = copy.run(copy.sink.begin, renewed(ORDERS))
    assert not position.emptied and position.renewed == [ORDERS]
    assert position.next == {(ACCOUNTS, 3): 10}
    with pytest.raises(Overtaken):
        copy.write(row(10))
    (kept,) = rows(copy.settings, schema.orders)
    assert (kept["status"], kept["version"]) == ("CANCELLING", -1)
    (balance,) = rows(copy.settings, schema.accounts)
    assert balance["version"] == 9

    batches = copy.run(copy.sink.begin, renewed(ORDERS)).batches
    copy.run(copy.sink.write, batch(row(7)), {(ORDERS, 3): 1}, renewed(ORDERS), batches)
    (found,) = rows(copy.settings, schema.orders)
    assert (found["status"], found["version"]) == ("OPEN", 7)


@pytest.mark.parametrize("other", [SOURCE._replace(app_id="another"), SOURCE._replace(cluster_id="another")])
def test_the_copy_of_another_application_is_not_written_over(copy: OrderCopy, other: SourceTopics):
    copy.write(row(7))
    before = contents(copy.settings)
    with pytest.raises(DatabaseWrong, match="saga orderdb rebuild"):
        copy.run(copy.sink.begin, other)
    assert contents(copy.settings) == before
    copy.run(copy.sink.empty)
    assert copy.run(copy.sink.begin, other).next == {}


def test_a_dead_letter_that_was_written_twice_is_one_and_the_earliest(copy: OrderCopy):
    copy.write(letter(5, 300), letter(6, 200))
    copy.write(letter(9, 100))
    copy.write(letter(8, 400))
    (found,) = rows(copy.settings, schema.dead_letters)
    assert found["time"] == 100
    assert (found["key"], found["value"]) == (b"key", b"value\x00")
    assert found["detail"] == "a\N{REPLACEMENT CHARACTER}b"


@pytest.mark.parametrize(
    "amount", ["0.1", "1E+2", "9007199254740993.01", "-0.0000", "123456789012345678901234567890.12"]
)
def test_money_is_exact(copy: OrderCopy, amount: str):
    copy.write(FakeMessage(ACCOUNTS, 1, account(1, amount, amount).encode(), b"ada:GBP"))
    (found,) = rows(copy.settings, schema.accounts)
    assert found["balance"] == found["deposited"] == Decimal(amount)


def test_an_event_keeps_why_and_where_the_order_was_turned_round(copy: OrderCopy):
    copy.write(event(7, cancelled()))
    (found,) = rows(copy.settings, schema.order_events)
    assert (found["type"], found["reason"], found["step"]) == ("OrderCancelled", "requested", "checkout")
