"""The round: batches decided together, misrouted records, and bad records."""

from collections.abc import Sequence

import pytest

from saga_app import topics, wire
from saga_app.core import records
from saga_app.core.decider import Verdict
from saga_app.core.errors import Fault, RowsMissing
from saga_app.core.numbers import FIRST
from saga_app.core.records import Record, StepName
from saga_app.dead_letters import budget
from saga_app.engine import round as round_module
from saga_app.engine.misrouted import LARGEST
from saga_app.kafka.headers import SENT_ON, too_many
from saga_app.kafka.messages import Message, Outgoing
from tests.support.corpus import CORPUS, BadBytes
from tests.support.examples import (
    cancel,
    cancelled,
    completed,
    countries,
    deadline,
    delivery,
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


def worker(topic: str = topics.PAYMENT, partitions: int = 1, partition: int = 0) -> MemoryWorker:
    started = MemoryWorker(MemoryBroker(partitions), topic, DECIDERS[topic], partition=partition)
    started.start()
    return started


def in_sequence(*records: Record | bytes | None) -> list[Message]:
    return [message(record, offset) for offset, record in enumerate(records)]


def rounds(of: MemoryWorker, messages: Sequence[Message], *sizes: int) -> list[list[bytes]]:
    """The keys of the rows that each round journalled."""
    found: list[list[bytes]] = []
    append = of.journal.append

    async def noting(records, generation):
        found.append([record.key for record in records])
        return await append(records, generation)

    of.journal.append = noting  # type: ignore[method-assign]
    cuts = [*sizes, len(messages)]
    batches = []
    while messages:
        size = cuts.pop(0)
        batches.append(batch(messages[:size], of.partition))
        messages = messages[size:]
    finish(run(of.round, batches))
    return found


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


def test_a_record_in_the_wrong_partition_is_sent_on_once() -> None:
    right = topics.partition_of("c1", 8)
    of = worker(partitions=8, partition=(right + 1) % 8)
    record = message(pay(order(customer_id="c1")), 0, key=None, headers=[("trace", b"1")])
    of.run([record])
    assert of.rows.journal == {}
    (sent,) = of.broker.logs["payment_events", right]
    assert (sent.key, sent.value) == (b"c1", record.value)
    assert list(sent.headers) == [("trace", b"1"), (SENT_ON, b"1")]
    assert of.round.verdicts == {Verdict.SENT_ON: 1}


def test_a_record_that_was_sent_on_and_is_still_wrong_is_a_dead_letter() -> None:
    right = topics.partition_of("c1", 8)
    of = worker(partitions=8, partition=(right + 1) % 8)
    of.run([message(pay(order(customer_id="c1")), 0, headers=[(SENT_ON, b"1")])])
    (dead,) = of.broker.topic("dead_letters")
    assert dict(dead.headers)["saga-reason"] == b"wrong_partition"


def test_a_record_that_was_sent_on_to_its_partition_is_decided_there() -> None:
    right = topics.partition_of("c1", 8)
    of = worker(partitions=8, partition=right)
    of.run([message(pay(order(customer_id="c1")), 0, headers=[(SENT_ON, b"1")])])
    assert b"o1" in of.rows.journal


@pytest.mark.parametrize(
    ("topic", "record"),
    [
        (topics.CHECKOUT, records.RetentionStarted(partition=8, segment_width=1)),
        (topics.CHECKOUT, records.RetentionStarted(partition=10**12, segment_width=1)),
        (topics.CHECKOUT, segments_closed(0, 1)),
        (
            topics.PAYMENT,
            records.OrdersEvicted(
                partition=9,
                step=StepName.PAYMENT,
                checkout_partition=0,
                first_segment=0,
                below_segment=1,
                order_ids=(),
            ),
        ),
    ],
)
def test_a_record_that_was_made_for_other_partitions_than_there_are_is_a_dead_letter(
    topic: str, record: Record
) -> None:
    """Sent on, it would end the worker, again and again."""
    of = worker(topic, partitions=8)
    of.run([message(record, 0)])
    assert of.round.verdicts == {Verdict.DEAD: 1}


def test_a_record_in_the_wrong_partition_that_is_too_large_with_the_mark_is_a_dead_letter() -> None:
    of = worker(partitions=8)
    of.run([message(deposit(), 0, headers=[("big", b"x" * LARGEST)])])
    assert [dict(each.headers)["saga-reason"] for each in of.broker.topic("dead_letters")] == [b"too_large"]


def test_the_key_that_a_record_was_sent_with_does_not_matter() -> None:
    of = worker(partitions=8, partition=topics.partition_of("c1", 8))
    of.run([message(deposit(), 0, key=b"something else"), message(deposit("d2"), 1, key=None)])
    assert set(of.rows.journal) == {b"deposit:c1:d1", b"deposit:c1:d2"}


@pytest.mark.parametrize(
    ("topic", "policy"), [(topics.PAYMENT, limit("p", "1.00")), (topics.SHIPPING, countries("p", "FR"))]
)
def test_a_policy_is_sent_to_every_other_partition_from_the_first_one(topic: str, policy: Record) -> None:
    of = worker(topic, 8, topics.POLICY_PARTITION)
    of.run([message(policy, 0, headers=[("trace", b"1")])])
    assert set(of.rows.journal) == {b"policy:p"}
    for partition in range(1, 8):
        (copy,) = of.broker.logs[topic, partition]
        assert (copy.key, copy.value) == (b"p", wire.encode(policy))
        assert list(copy.headers) == [("trace", b"1"), (SENT_ON, b"1")]
    assert not of.broker.logs[topic, topics.POLICY_PARTITION]


@pytest.mark.parametrize("partition", range(1, 8))
def test_a_policy_in_another_partition_goes_to_the_first_one_and_its_copy_goes_nowhere(
    partition: int,
) -> None:
    policy = limit("p", "1.00")
    of = worker(partitions=8, partition=partition)
    of.run([message(policy, 0)])
    assert of.rows.journal == {}
    (sent,) = of.broker.topic(topics.PAYMENT)
    assert of.broker.logs[topics.PAYMENT, topics.POLICY_PARTITION] == [sent]
    copy = worker(partitions=8, partition=partition)
    copy.run([message(policy, 0, headers=sent.headers)])
    assert set(copy.rows.journal) == {b"policy:p"}
    assert not copy.broker.topic(topics.PAYMENT)


def test_a_policy_that_is_known_is_sent_to_every_other_partition_again() -> None:
    """A crash may have come before the copies were sent."""
    of = worker(partitions=3)
    of.run([message(limit("p", "1.00"), 0), message(limit("p", "1.00"), 1, headers=[(SENT_ON, b"1")])])
    assert [len(of.broker.logs[topics.PAYMENT, each]) for each in (1, 2)] == [2, 2]
    assert [len(copy.headers) for copy in of.broker.logs[topics.PAYMENT, 1]] == [1, 1]


def test_a_policy_with_another_content_is_a_dead_letter_and_goes_nowhere() -> None:
    of = worker(partitions=3)
    of.run(in_sequence(limit("p", "1.00"), limit("p", "2.00")))
    assert [len(of.broker.logs[topics.PAYMENT, each]) for each in (1, 2)] == [1, 1]
    assert len(of.broker.topic("dead_letters")) == 1


@pytest.mark.parametrize(
    ("topic", "stranger"),
    [
        (topics.CHECKOUT, pay(order())),
        (topics.CHECKOUT, deposit()),
        (topics.PAYMENT, placed()),
        (topics.PAYMENT, reserve(order())),
        (topics.PAYMENT, delivery(a=1)),
        (topics.PAYMENT, completed()),
        (topics.INVENTORY, limit("p", "1.00")),
        (topics.INVENTORY, ship(order())),
        (topics.SHIPPING, cancelled()),
        (topics.SHIPPING, deadline()),
    ],
    ids=lambda value: value if isinstance(value, str) else value.type,
)
def test_a_record_in_a_strange_inbox_is_a_dead_letter(topic: str, stranger: Record) -> None:
    of = worker(topic)
    of.run([message(stranger, 0)])
    (dead,) = of.broker.topic("dead_letters")
    assert dict(dead.headers)["saga-reason"] == b"unexpected_record"


NEIGHBOURS: dict[str, tuple[Record, Record]] = {
    topics.CHECKOUT: (placed("before"), placed("after")),
    topics.PAYMENT: (pay(order("before")), pay(order("after"))),
    topics.INVENTORY: (reserve(order("before")), reserve(order("after"))),
    topics.SHIPPING: (ship(order("before")), ship(order("after"))),
}


@pytest.mark.parametrize("topic", topics.INBOXES)
def test_every_kind_of_bad_input_is_one_dead_letter_in_every_inbox(topic: str) -> None:
    """One batch with all of them, and good records before and behind, which are applied as ever."""
    small: list[BadBytes] = [bad for bad in CORPUS if bad.value is None or len(bad.value) <= 1024 * 1024]
    first, last = NEIGHBOURS[topic]
    of = worker(topic)
    of.run(in_sequence(first, *(bad.value for bad in small), last))
    dead = of.broker.topic("dead_letters")
    assert [dict(each.headers)["saga-reason"] for each in dead] == [bad.fault.encode() for bad in small]
    assert [dict(each.headers)["saga-offset"] for each in dead] == [
        b"%d" % (number + 1) for number in range(len(small))
    ]
    assert set(of.rows.journal) == {b"before", b"after"}
    assert len(of.broker.sent) == len(small) + 2
    assert of.position == len(small) + 2


def test_a_dead_letter_is_one_line_without_its_payload() -> None:
    of = worker()
    of.run(
        [
            message(b'{"order_id":"secret"}', 0, key=b"c1"),
            message(b"secret", 1, key=b"what a secret"),
            message(b"secret", 2, key=None),
        ]
    )
    notes = [note.text for note in of.round.notes if note.warning]
    assert [note.split("; ")[0] for note in notes] == [
        "dead letter, invalid: payment_events[0] offset 0",
        "dead letter, unreadable: payment_events[0] offset 1",
        "dead letter, unreadable: payment_events[0] offset 2",
    ]
    assert notes[0].endswith("`saga dead-letters payment_events:0:0` shows it")
    assert "secret" not in "".join(notes)


def test_of_many_dead_letters_in_a_round_the_first_have_lines_and_the_others_are_counted() -> None:
    of = worker()
    of.run(in_sequence(*[b"?"] * 50))
    notes = [note.text for note in of.round.notes if note.warning]
    assert len(notes) == round_module.MOST_LOGGED + 1
    assert notes[-1].startswith(f"{50 - round_module.MOST_LOGGED} more dead letters")


def test_every_record_meets_exactly_one_fate() -> None:
    """I8: applied + repeats + ignored + sent on + dead letters + gaps = end - start."""
    right = topics.partition_of("c1", 8)
    assert right != topics.POLICY_PARTITION
    elsewhere = next(name for name in map(str, range(99)) if topics.partition_of(name, 8) != right)
    of = worker(partitions=8, partition=right)
    mine = order(customer_id="c1")
    inbox = in_sequence(
        deposit(), deposit(), pay(mine), pay(mine), b"?", limit("p", "1"), pay(order(elsewhere))
    )
    of.run(inbox)
    assert of.round.verdicts == {
        Verdict.APPLIED: 2,
        Verdict.REPEATED: 2,
        Verdict.DEAD: 1,
        Verdict.SENT_ON: 2,
    }
    assert sum(of.round.verdicts.values()) == of.position
    checkout = worker(topics.CHECKOUT)
    checkout.run(in_sequence(deadline(), placed(), deadline(attempt=7)))
    assert checkout.round.verdicts == {Verdict.IGNORED: 2, Verdict.APPLIED: 1}


def test_a_contradiction_raises_an_alarm_and_is_a_dead_letter() -> None:
    of = worker(topics.CHECKOUT)
    of.run(in_sequence(placed(), completed(), cancelled()))
    assert [note for note in of.round.notes if note.alarm and note.text.startswith("ALARM")]
    (dead,) = of.broker.topic("dead_letters")
    assert dict(dead.headers)["saga-reason"] == str(Fault.CONTRADICTION).encode()
    assert b'"COMPLETED"' in of.rows.journal[b"o1"]


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


def test_a_round_ends_after_so_many_refused_bytes_in_every_partition() -> None:
    """Their texts are searched for card numbers: a round of only these would hold up all other inboxes."""
    of = worker()
    bad = b"x" * (round_module.MOST_REFUSED_BYTES // 2 + 1)
    waiting = [batch(in_sequence(bad, bad, bad, pay(order("a"))), of.partition)]
    sizes = []
    for decided in of.round.decide(waiting):
        sizes.append(of.round.size)
        finish(of.round.forward(decided))
    assert sizes == [2, 2]
    assert of.position == 4


def test_letters_keep_hash_and_head_when_a_partition_has_had_its_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(budget, "MOST_A_MINUTE", 5_000)
    of = worker()
    long, short = b"long" * 1_000, b"short"
    finish(run(of.round, [batch(in_sequence(long, long, short), of.partition)]))
    letters = [each for each in of.broker.sent if each.topic == topics.DEAD_LETTERS]
    assert [each.value for each in letters] == [long, wire.hash_of(long), short]


def test_a_record_with_too_many_headers_is_refused_also_where_this_worker_has_written_it() -> None:
    of = worker()
    record = pay(order("a"))
    of.round.written.keep(wire.encode(record), record)
    heavy = message(record, 0)._replace(headers=(too_many(99_999),))
    finish(run(of.round, [batch([heavy], of.partition)]))
    assert of.round.verdicts == {Verdict.DEAD: 1}
