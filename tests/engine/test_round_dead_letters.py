"""The round: records that nobody can apply."""

import pytest

from saga_app import topics, wire
from saga_app.core.decider import Verdict
from saga_app.core.errors import Fault
from saga_app.core.records import Record
from saga_app.dead_letters import budget
from saga_app.engine import round as round_module
from saga_app.kafka.headers import too_many
from tests.engine.rounds import in_sequence, worker
from tests.support.corpus import CORPUS, BadBytes
from tests.support.examples import (
    cancelled,
    completed,
    deadline,
    delivery,
    deposit,
    limit,
    order,
    pay,
    placed,
    reserve,
    ship,
)
from tests.support.memory import batch, finish, message, run


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
        "dead letter, invalid: payment_events:0:0",
        "dead letter, unreadable: payment_events:0:1",
        "dead letter, unreadable: payment_events:0:2",
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
