"""Rounds are counted, and the counts become metrics."""

from saga_app import topics
from saga_app.core.numbers import FIRST, Generation, Offset, version_at
from saga_app.core.records import Reason, StepName
from saga_app.core.rows import JournalRow, OrderRow, Row, State, Status
from saga_app.kafka.messages import Batch, Message
from saga_app.monitoring.counts import Counts, Histogram


def test_orders_are_counted_when_they_end_by_outcome_and_reason() -> None:
    counts = Counts()
    changes = {
        "o1": OrderRow(version_at(1), Status.OPEN, Offset(1), 0, 5, b"{}"),
        "o2": OrderRow(version_at(2), Status.COMPLETED, Offset(1), 0, 5, b"{}", ended_at=5),
        "o3": OrderRow(
            version_at(3),
            Status.CANCELLED,
            Offset(1),
            0,
            5,
            b"{}",
            ended_at=5,
            reason=Reason.OUT_OF_STOCK,
            step=StepName.INVENTORY,
        ),
    }
    counts.changed(topics.CHECKOUT, changes)
    assert counts.ended == {("COMPLETED", ""): 1, ("CANCELLED", "out_of_stock"): 1}


def test_steps_are_counted_by_what_they_recorded_and_supplies_are_no_steps() -> None:
    counts = Counts()
    changes: dict[str, Row] = {
        "o1": JournalRow(version_at(1), State.DONE, "x"),
        "o2": JournalRow(version_at(2), State.REFUSED, "x"),
        "deposit:d1": JournalRow(version_at(3), State.DONE, "x"),
    }
    counts.changed(topics.PAYMENT, changes)
    assert counts.steps == {(topics.PAYMENT, "DONE"): 1, (topics.PAYMENT, "REFUSED"): 1}


def test_a_histogram_tells_how_many_there_were_up_to_each_bound() -> None:
    histogram = Histogram((1, 10))
    for value in (0.5, 1, 2, 10, 11, 5_000):
        histogram.observe(value)
    assert histogram.buckets() == [("1", 2), ("10", 4), ("+Inf", 6)]
    assert histogram.sum == 5_024.5


def fetch(*times: int) -> Batch:
    """Records that came at these times, as one fetch brings them."""
    messages = [Message(Offset(at), time, b"k", b"v") for at, time in enumerate(times)]
    return Batch(0, FIRST, Offset(len(times)), Generation(1), messages)


def test_records_that_came_at_the_same_time_are_each_counted() -> None:
    counts = Counts(clock=lambda: 100.0)
    batches = [fetch(99_000, 99_000)._replace(partition=partition) for partition in (0, 1)]
    counts.round_ended(topics.PAYMENT, batches, 0.2)
    step = counts.step[topics.PAYMENT]
    assert (dict(step.buckets())["+Inf"], step.sum) == (4, 4.0)


def test_a_step_takes_from_when_its_record_came_until_it_is_durable() -> None:
    """A record that seems to come from the future took no time."""
    counts = Counts(clock=lambda: 100.0)
    counts.round_ended(topics.PAYMENT, [fetch(99_992, 97_000, 101_000)], 0.2)
    step = counts.step[topics.PAYMENT]
    assert [(bound, count) for bound, count in step.buckets() if bound in ("0.005", "0.01", "2.5", "5")] == [
        ("0.005", 1),
        ("0.01", 2),
        ("2.5", 2),
        ("5", 3),
    ]
    assert counts.records[topics.PAYMENT].sum == 3 and counts.seconds[topics.PAYMENT].sum == 0.2
