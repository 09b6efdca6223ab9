"""The lease: nothing is sent unless this worker certainly still belongs to its generation."""

import asyncio

import pytest

from saga_app.durable import lease as lease_module
from saga_app.durable.fatal import Exit
from saga_app.durable.lease import Lease, uptime

SESSION, DELIVERY = 8.0, 4.0


class Died(Exception):
    """The process would have ended."""


class World:
    """A clock that stands still, and a group."""

    def __init__(self) -> None:
        self.now = 100.0
        self.generation = 1
        self.lease = Lease(SESSION, DELIVERY, lambda: self.now, poll=0)
        self.lease.follow(lambda: self.generation)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(autouse=True)
def deaths(monkeypatch: pytest.MonkeyPatch) -> list[Exit]:
    codes: list[Exit] = []

    def die(code: Exit, message: str) -> None:
        codes.append(code)
        raise Died(message)

    monkeypatch.setattr(lease_module, "die", die)
    return codes


def test_nothing_holds_before_the_first_heartbeat(world: World) -> None:
    assert not world.lease.holds(1)
    assert not Lease(SESSION, DELIVERY).holds(-1) or Lease(SESSION, DELIVERY).longest < 0


@pytest.mark.parametrize(
    ("age", "holds"), [(0.0, True), (3.9, True), (4.0, True), (4.1, False), (9.0, False)]
)
def test_it_holds_for_the_session_timeout_less_the_delivery_timeout(
    world: World, age: float, holds: bool
) -> None:
    world.lease.renew(1, world.now)
    world.now += age
    assert world.lease.holds(1) is holds


def test_the_age_counts_from_before_the_request(world: World) -> None:
    """An answer may have been on its way for long: what counts is when it was asked for."""
    world.lease.renew(1, world.now - 5)
    assert not world.lease.holds(1)


def test_a_heartbeat_of_another_generation_is_none(world: World) -> None:
    world.lease.renew(0, world.now)
    assert not world.lease.holds(1)
    assert not world.lease.holds(0)


def test_it_does_not_hold_for_an_older_generation_than_the_groups(world: World) -> None:
    world.lease.renew(1, world.now)
    world.generation = 2
    assert not world.lease.holds(1)


def test_a_new_heartbeat_renews_it(world: World) -> None:
    world.lease.renew(1, world.now)
    world.now += 60
    assert not world.lease.holds(1)
    world.lease.renew(1, world.now)
    assert world.lease.holds(1)


def test_holding_waits_for_the_next_heartbeat(world: World, deaths: list[Exit]) -> None:
    async def story() -> None:
        holding = asyncio.create_task(world.lease.hold(1))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not holding.done()
        world.lease.renew(1, world.now)
        await holding

    asyncio.run(story())
    assert deaths == []


def test_if_the_group_has_moved_on_the_process_ends(world: World, deaths: list[Exit]) -> None:
    async def story() -> None:
        world.generation = 2
        await world.lease.hold(1)

    with pytest.raises(Died, match="generation 2"):
        asyncio.run(story())
    assert deaths == [Exit.LEASE_LOST]


@pytest.mark.parametrize("delivery", [8.0, 9.0])
def test_a_delivery_must_be_shorter_than_a_session(delivery: float) -> None:
    with pytest.raises(ValueError, match="shorter"):
        Lease(SESSION, delivery)


def test_its_clock_goes_forward() -> None:
    assert 0 < uptime() <= uptime()
