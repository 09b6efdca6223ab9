"""The lease: where a successor may already have been chosen, nothing is sent.

Answers `docs/reference/faust.md#d8`; that stock Faust asks nobody before it sends is shown in `test_membership`.
"""

import asyncio

import pytest

from saga_app.core.numbers import Generation
from saga_app.engine.assignment import Assignment
from saga_app.engine.exits import Exit, Fatal
from saga_app.engine.lease import JOINING, Lease, uptime
from saga_app.engine.ports import GivenUp
from tests.engine.faust.parts import in_a_loop
from tests.support.assigned import holding

SESSION, DELIVERY = 8.0, 4.0
THIS, NEXT = Generation(3), Generation(4)


class LeaseAndGroup:
    """A lease, the clock that it reads, and the generation that the group is at."""

    def __init__(self) -> None:
        self.now = 100.0
        self.generation = THIS
        self.assignment = holding(THIS)
        self.lease = Lease(SESSION, DELIVERY, self.assignment, lambda: self.now, poll=0)
        self.lease.follow(lambda: self.generation)


def test_nothing_holds_before_the_first_heartbeat() -> None:
    assert not LeaseAndGroup().lease.holds(THIS)


def test_it_holds_as_long_as_a_record_sent_now_is_given_up_before_a_successor_can_be_chosen() -> None:
    group = LeaseAndGroup()
    group.lease.renew(THIS, group.now)
    group.now += SESSION - DELIVERY
    assert group.lease.holds(THIS)
    group.now += 0.001
    assert not group.lease.holds(THIS)


@pytest.mark.parametrize(("renewed", "current"), [(2, THIS), (THIS, NEXT), (THIS, -1), (NEXT, THIS)])
def test_it_holds_for_the_present_generation_only(renewed: int, current: int) -> None:
    group = LeaseAndGroup()
    group.lease.renew(Generation(renewed), group.now)
    group.generation = Generation(current)
    assert not group.lease.holds(THIS)


def test_the_age_counts_from_before_the_request() -> None:
    """An answer may have been on its way for long."""
    group = LeaseAndGroup()
    group.lease.renew(THIS, group.now - SESSION)
    assert not group.lease.holds(THIS)


def test_a_heartbeat_within_the_session_renews_it() -> None:
    group = LeaseAndGroup()
    group.lease.renew(THIS, group.now)
    group.now += SESSION
    assert not group.lease.holds(THIS)
    assert group.lease.renew(THIS, group.now)
    assert group.lease.holds(THIS)


@pytest.mark.parametrize("known", ["heartbeat", "assignment"])
def test_an_answer_after_a_silence_longer_than_the_session_renews_nothing(known: str) -> None:
    """A coordinator that still loads its groups says yes to everybody, also to a member that it had replaced."""
    group = LeaseAndGroup()
    if known == "heartbeat":
        group.lease.renew(THIS, group.now)
    else:
        group.lease.take(THIS)
    group.now += SESSION + 0.001
    assert not group.lease.renew(THIS, group.now)
    assert not group.lease.holds(THIS)


def test_a_member_that_joined_anew_may_be_renewed_again() -> None:
    group = LeaseAndGroup()
    group.lease.renew(THIS, group.now)
    group.now += 10 * SESSION
    group.lease.take(THIS)
    assert group.lease.renew(THIS, group.now + 1)
    group.generation = NEXT
    assert group.lease.renew(NEXT, group.now + 1)
    assert group.lease.holds(NEXT)


@in_a_loop
async def test_a_member_that_joins_anew_waits_until_it_has_given_up_its_partitions() -> None:
    group = LeaseAndGroup()
    group.generation = JOINING
    waiting = asyncio.ensure_future(group.lease.hold(THIS))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    group.assignment.give_up()
    with pytest.raises(GivenUp):
        await waiting


@in_a_loop
async def test_a_worker_that_may_not_send_waits_for_the_next_heartbeat() -> None:
    group = LeaseAndGroup()
    waiting = asyncio.ensure_future(group.lease.hold(THIS))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    group.lease.renew(THIS, group.now)
    await waiting


@in_a_loop
async def test_nobody_waits_for_the_lease_of_partitions_that_were_given_up() -> None:
    group = LeaseAndGroup()
    waiting = asyncio.ensure_future(group.lease.hold(THIS))
    await asyncio.sleep(0)
    group.assignment.give_up()
    with pytest.raises(GivenUp):
        await waiting


@in_a_loop
async def test_a_round_that_runs_while_partitions_are_given_up_may_finish_under_its_lease() -> None:
    group = LeaseAndGroup()
    group.lease.renew(THIS, group.now)
    group.assignment.give_up()
    await group.lease.hold(THIS)


@in_a_loop
async def test_partitions_may_come_back_under_the_generation_that_was_given_up() -> None:
    group = LeaseAndGroup()
    group.assignment.give_up()
    group.assignment.assign(THIS, {0})
    group.lease.take(THIS)
    waiting = asyncio.ensure_future(group.lease.hold(THIS))
    await asyncio.sleep(0)
    group.lease.renew(THIS, group.now)
    await waiting


@in_a_loop
async def test_the_process_ends_where_the_group_has_moved_on() -> None:
    group = LeaseAndGroup()
    group.generation = NEXT
    with pytest.raises(Fatal) as ended:
        await group.lease.hold(THIS)
    assert ended.value.exit is Exit.LEASE_LOST


def test_a_delivery_must_be_shorter_than_a_session() -> None:
    with pytest.raises(ValueError, match="shorter"):
        Lease(SESSION, SESSION, Assignment())


def test_the_clock_goes_on() -> None:
    assert uptime() <= uptime()
