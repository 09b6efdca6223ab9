"""Audits in a row, each from the checkpoint of the one before, say what one audit of everything says."""

import itertools
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from saga_app import topics
from saga_app.core.numbers import Offset
from saga_app.core.records import Record
from tests.audit.comparison import same
from tests.audit.reading import reading
from tests.audit.world import AuditWorld, bought
from tests.support.examples import (
    cancel,
    deadline,
    delivery,
    deposit,
    limit,
)
from tests.support.profiles import examples

#: Records of people and timers; those of one order come in any sequence.
RECORDS: list[Record | bytes] = [
    delivery("d1", mug=3, cup=1),
    deposit("d1", "30.00"),
    deposit("d1", "30.00"),
    deposit("d1", "31.00"),
    limit("p1", "15.00"),
    limit("p2", "1000.00"),
    bought("plain"),
    bought("plain"),
    bought("plain", "11.00"),
    bought("far", country="NZ"),
    bought("two", cup=2),
    bought("dear", "20.00"),
    cancel("plain"),
    cancel("far"),
    deadline("plain", 0),
    deadline("plain", 1, last=True),
    deadline("far", 0),
    b"{",
]
KINDS = ["decide", "crash", "again", "audit", "audit, busy", "evict", "purge"]
STEPS = st.lists(
    st.one_of(
        st.sampled_from(RECORDS),
        st.tuples(st.sampled_from(KINDS), st.integers(0, 20)),
    ),
    min_size=5,
    max_size=60,
)


def step(world: AuditWorld, what: str, number: int) -> None:
    """One thing that a worker does or meets."""
    waiting = world.waiting()
    if what in ("evict", "purge"):
        world.evict(purge=what == "purge")
    elif what == "again":
        # The group's offset is lower than what was done: the worker was killed before it was committed.
        places = [place for place, at in world.committed.items() if at]
        if places:
            place = places[number % len(places)]
            world.committed[place] = Offset(world.committed[place] - 1)
    elif waiting:
        world.decide(waiting[number % len(waiting)], crashes=what == "crash")


def live(world: AuditWorld, steps: list[Any], folder: Path) -> None:
    """A history, with audits in between, each from the checkpoint of the one before."""
    for each in steps:
        match each:
            case ("audit", _):
                assert world.checkpointed(folder).holds
            case ("audit, busy", number):
                audit_while_busy(world, folder, number)
            case (str() as what, number):
                step(world, what, number)
            case bytes():
                world.send(each, topics.PAYMENT, 0)
            case _:
                world.send(each)


def audit_while_busy(world: AuditWorld, folder: Path, number: int) -> None:
    """While an audit takes its limits, partition by partition, orders are placed and decided."""
    numbers = itertools.count(number)

    def work() -> None:
        if (now := next(numbers)) % 7 == 0:
            world.send(bought(f"meanwhile-{world.now}"))
        step(world, "decide", now)

    world.meanwhile = work
    assert world.checkpointed(folder).holds
    world.meanwhile = lambda: None


@pytest.mark.slow("rows of audits under every sequence that Hypothesis finds")
@examples(12)
@for_all(order_ids=st.lists(st.sampled_from(["plain", "far", "two", "dear"]), min_size=3), steps=STEPS)
def test_audits_in_a_row_say_the_same_while_orders_are_evicted(
    order_ids: list[str], steps: list[Any]
) -> None:
    with reading(AuditWorld()) as world, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world.evict().run(delivery("d1", mug=3, cup=1), deposit("d1", "30.00"))
        for order_id in order_ids:
            world.run(bought(order_id, country="NZ" if order_id == "far" else "GB"))
        live(world, [*steps, ("evict", 0), ("audit", 0)], folder)
        same(world, folder)
        world.run()
        world.evict(purge=True).run().evict(purge=True).run()
        assert same(world, folder).holds


@pytest.mark.slow("rows of audits under every sequence that Hypothesis finds")
@examples(12)
@for_all(steps=STEPS)
def test_audits_in_a_row_say_what_one_audit_of_everything_says(steps: list[Any]) -> None:
    with reading(AuditWorld()) as world, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        live(world, [*RECORDS[:2], *steps, ("audit", 0)], folder)
        same(world, folder)
        world.run()
        assert same(world, folder).holds
