"""The round: batches decided together, their sequence and their bounds."""

import pytest

from saga_app import topics, wire
from saga_app.core import records
from saga_app.core.decider import Verdict
from saga_app.core.errors import RowsMissing
from saga_app.core.numbers import FIRST
from saga_app.core.records import Record
from saga_app.engine import round as round_module
from saga_app.kafka.messages import Outgoing
from tests.engine.rounds import in_sequence, rounds, worker
from tests.support.examples import (
    cancel,
    completed,
    countries,
    deposit,
    limit,
    order,
    orders_evicted,
    pay,
    placed,
    refund,
    reserve,
    retention_started,
    segments_closed,
    segments_purged,
    ship,
    step_request,
)
from tests.support.memory import MemoryBroker, MemoryWorker, batch, finish, message, run
from tests.support.plan import DECIDERS


def test_everything_that_waits_is_decided_in_one_round() -> None:
    of = worker()
    orders = [order(f"o{each}") for each in range(3)]
    assert rounds(of, in_sequence(*map(pay, orders)), 1, 1) == [[b"o0", b"o1", b"o2"]]
    assert of.position == 3


@pytest.mark.parametrize("sizes", [(), (1,), (2,), (3,), (1, 1), (2, 1), (1, 1, 1, 1)])
def test_a_change_of_policy_is_a_round_of_its_own(sizes: tuple[int, ...]) -> None:
    of = worker()
    inbox = in_sequence(
        pay(order("a", "40.00")),
        pay(order("b", "40.00")),
        limit("p", "30.00"),
        pay(order("c", "40.00")),
        limit("q", "50.00"),
        limit("r", "60.00"),
        pay(order("d", "40.00")),
    )
    found = rounds(of, inbox, *sizes)
    assert found == [[b"a", b"b"], [b"policy:p"], [b"c"], [b"policy:q"], [b"policy:r"], [b"d"]]
    states = {key: b'"DONE"' in row for key, row in of.rows.journal.items() if len(key) == 1}
    assert states == {b"a": True, b"b": True, b"c": False, b"d": True}
    assert of.position == 7


def test_a_policy_that_is_a_dead_letter_does_not_stop_its_neighbours() -> None:
    of = worker()
    of.run(in_sequence(countries("p", "GB"), pay(order())))
    assert (len(of.broker.topic("dead_letters")), of.position) == (1, 2)
    assert b"o1" in of.rows.journal


@pytest.mark.parametrize("sizes", [(), (1,)])
def test_records_before_an_eviction_are_settled_even_if_they_wrote_no_row(sizes: tuple[int, ...]) -> None:
    """Else a replay would find it settled, and its dead letter might never have been sent."""
    of = worker(topics.CHECKOUT)
    inbox = in_sequence(
        retention_started(),
        placed(),
        step_request(completed()),
        cancel("nobody"),
        segments_closed(0, 1, "o1"),
    )
    of.run(inbox[:3])
    before = of.steps.taken["decided"]
    rounds(of, inbox[3:], *sizes)
    assert of.steps.taken["decided"] - before == 2
    assert of.inbox.history[-2:] == [{0: 4}, {0: 5}]


def test_where_a_row_of_another_worker_lies_between_the_end_of_a_changelog_is_known_and_not_held() -> None:
    """The group's commit must ask for the rows behind it too: `reached` stays before it until the next restore."""
    of = worker()
    of.run([message(pay(order("o1")), 0)])
    of.broker.append(Outgoing(of.round.durability.changelog("payments"), b"late", b"{}", 0))
    of.run([message(pay(order("o2")), 1)])
    assert (of.stores["payments"].reached, of.round.states[0].ends["payments"]) == (1, 3)


def test_totals_are_written_before_a_low_watermark_and_tombstones_behind_it() -> None:
    """In appends of their own: of one append a part may be lost although what follows it is written."""
    of = worker()
    found = rounds(
        of, in_sequence(deposit(), step_request(pay(order(customer_id="c1"))), orders_evicted(0, 1, "o1"))
    )
    assert found[1:] == [[b"evicted:c1:GBP"], [b"low_watermark:0"], [b"o1"]]
    assert of.stores["payments"].reached == 5


def test_the_row_that_names_closed_orders_is_removed_after_their_rows() -> None:
    of, segment, names = worker(topics.CHECKOUT), b"segment:%016d" % 0, b"closed:%016d" % 1
    inbox = in_sequence(
        retention_started(),
        placed(),
        step_request(completed()),
        segments_closed(0, 1, "o1"),
        segments_purged(0, 1),
    )
    found = rounds(of, inbox)
    assert found[2:] == [
        [b"o1"],
        [names],
        [b"low_watermark:0"],
        [segment],
        [b"low_watermark:0"],
        [b"o1"],
        [names],
    ]


def test_a_round_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(round_module, "MOST_RECORDS", 3)
    of = worker()
    found = rounds(of, in_sequence(*(pay(order(f"o{each}")) for each in range(8))), 2, 3)
    assert [len(keys) for keys in found] == [3, 3, 2]
    assert of.position == 8


def test_a_round_is_bounded_in_bytes_and_a_record_larger_than_that_has_one_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(round_module, "MOST_BYTES", 1)
    of = worker()
    found = rounds(of, in_sequence(*(pay(order(f"o{each}")) for each in range(4))), 2, 2)
    assert [len(keys) for keys in found] == [1, 1, 1, 1]
    assert of.position == 4


def test_partitions_share_a_round_and_one_with_a_policy_does_not_hold_up_the_other() -> None:
    broker = MemoryBroker(2)
    both = [MemoryWorker(broker, topics.PAYMENT, DECIDERS[topics.PAYMENT], partition=each) for each in (0, 1)]
    for each in both:
        each.start()
    one = both[0]
    own = {0: both[0].round.states[0], 1: both[1].round.states[1]}
    one.round.states = one.round.durability.states = own
    one.inbox.positions[1] = FIRST
    ids = {topics.partition_of(f"o{each}", 2): f"o{each}" for each in range(9)}
    here, there = order(ids[0]), order(ids[1])
    finish(
        run(
            one.round,
            [
                batch([message(pay(here), 0), message(limit("p", "1.00"), 1)], 0),
                batch([message(pay(there), 0), message(refund(there), 1)], 1),
            ],
        )
    )
    assert one.inbox.positions == {0: 2, 1: 2}
    assert one.inbox.history == [{0: 0}, {0: 1, 1: 0}, {0: 1, 1: 2}, {0: 2, 1: 2}]


def test_waiting_records_are_dropped_when_the_group_has_moved_on() -> None:
    of = worker()
    of.round.durability.passing = lambda point: setattr(of.inbox, "generation", 2)
    of.run(in_sequence(pay(order("a")), limit("p", "30.00"), pay(order("b"))))
    assert set(of.rows.journal) == {b"a"}
    assert of.position == 1


def test_rows_that_are_missing_end_the_round_with_nothing_written() -> None:
    of = worker()
    of.run(in_sequence(deposit("d1"), deposit("d2")))
    of.disks["payments"].states[-1] = ({}, FIRST, None)
    heir = MemoryWorker(of.broker.copy(), topics.PAYMENT, of.decider, of.disks, committed=0)
    heir.broker.logs["payments-changelog", 0].clear()
    heir.start()
    before = heir.broker.copy()
    with pytest.raises(RowsMissing):
        heir.run(in_sequence(deposit("d1"), deposit("d2")))
    assert (heir.broker.logs, heir.position) == (before.logs, 0)


def test_a_policy_is_in_force_after_a_restart() -> None:
    of = worker()
    of.run(in_sequence(limit("z", "30.00"), limit("a", "50.00")))
    heir = MemoryWorker(of.broker, topics.PAYMENT, of.decider, committed=2)
    heir.start()
    heir.run([message(pay(order("under", "40.00")), 2), message(pay(order("over", "50.00")), 3)])
    assert b'"DONE"' in heir.rows.journal[b"under"]
    assert b'"REFUSED"' in heir.rows.journal[b"over"]


@pytest.mark.parametrize(
    ("topic", "record", "sent"),
    [
        (topics.CHECKOUT, placed(), records.PaymentRequested),
        (topics.PAYMENT, pay(order()), records.ReservationRequested),
        (topics.INVENTORY, reserve(order(lines=[("a", 1)])), records.RefundRequested),
        (topics.SHIPPING, ship(order()), records.OrderCompleted),
    ],
)
def test_a_round_keeps_of_its_sends_exactly_the_records_that_others_read(
    topic: str, record: Record, sent: type[Record]
) -> None:
    of = worker(topic)
    of.run(in_sequence(record))
    [(value, kept)] = of.round.written.found.items()
    assert type(kept) is sent and wire.decode(value) == kept


def test_a_record_that_was_sent_from_here_is_read_back_once() -> None:
    of = worker(topics.CHECKOUT)
    of.run(in_sequence(placed()))
    [value] = of.round.written.found
    reader = worker(topics.PAYMENT)
    reader.round.written = of.round.written
    reader.run([message(value, 0)])
    assert not of.round.written.found.keys() & {value}
    assert reader.round.verdicts == {Verdict.APPLIED: 1}


def test_a_record_for_another_worker_is_not_kept() -> None:
    of = worker(topics.CHECKOUT, partitions=2)
    here = [each for each in map(str, range(40)) if topics.partition_of(each, 2) == of.partition]
    of.run(in_sequence(*(placed(each, customer_id=f"c{each}") for each in here)))
    sent = {topics.key_of(kept) for kept in of.round.written.found.values()}
    assert sent == {f"c{each}" for each in here if topics.partition_of(f"c{each}", 2) == of.partition}
    assert 0 < len(sent) < len(here)
