"""Step requests are lost or become dead letters: the deadline timer nudges, and every order ends wholly."""

import asyncio
from collections.abc import Callable

import pytest

from saga_app import topics, wire
from saga_app.core.numbers import Generation
from saga_app.core.records import Reason
from saga_app.core.rows import Status
from saga_app.engine.deadlines import GRACE, DeadlineTimer
from saga_app.kafka.messages import Message
from tests.sagas.saga import ROUTES, Saga, supplied
from tests.support.examples import cancel
from tests.support.given import BEGINNING, SECOND
from tests.support.memory import MemoryLog, Place, Steps

CHECKOUT = (topics.CHECKOUT, 0)
Loss = Callable[[Saga, Place], None]


class Watched:
    """A saga with the real deadline timer, and the time that the clock reads."""

    def __init__(self) -> None:
        self.saga = supplied()
        self.now = BEGINNING
        self.clock = self._new_clock()

    def restart(self) -> None:
        """Checkout's worker was killed; another one, with another clock, takes over what is on disk."""
        self.clock = self._new_clock()
        self.clock.load(self.saga.workers[CHECKOUT].stores["orders"])

    def nudges_after(self, seconds: float) -> int:
        """So many seconds pass; how many nudges that brings."""
        before = len(self.saga.broker.sent)
        self.now += int(seconds * SECOND)
        asyncio.run(self._tick())
        sent = [wire.decode(each.value) for each in self.saga.broker.sent[before:]]
        assert all(each.type == "DeadlinePassed" for each in sent)
        return len(sent)

    def _new_clock(self) -> DeadlineTimer:
        clock = DeadlineTimer(MemoryLog("clock", self.saga.broker, Steps()), lambda: self.now, tick=0)
        clock.start(Generation(1))
        self.saga.workers[CHECKOUT].round.durability.applied = clock.changed
        return clock

    async def _tick(self) -> None:
        running = asyncio.create_task(self.clock.run())
        for _ in range(20):
            await asyncio.sleep(0)
        running.cancel()


def lose_the(number: int, loss: Loss, saga: Saga) -> bool:
    """Reads all records that services sent, except the one with this number. True if there is one."""
    passed = 0
    while waiting := saga.waiting():
        place = waiting[0]
        if _is_a_step_request(saga.next(place)):
            passed += 1
            if passed == number:
                loss(saga, place)
                saga.finish()
                return True
        saga.read(place)
    return False


def read_but_lose(saga: Saga, *types: str) -> None:
    """Reads everything, but records of these types are lost."""
    while waiting := saga.waiting():
        place = waiting[0]
        lost = wire.decode(saga.next(place).value).type in types
        (saga.lose if lost else saga.read)(place)


def _is_a_step_request(message: Message) -> bool:
    return wire.decode(message.value).type not in ("OrderPlaced", "CancellationRequested")


@pytest.mark.parametrize("loss", [Saga.lose, Saga.spoil], ids=["lost", "dead-lettered"])
@pytest.mark.parametrize("refusal", ROUTES)
@pytest.mark.parametrize("cancelled", [False, True], ids=["left alone", "cancelled"])
def test_an_order_with_any_lost_record_ends_after_the_next_deadline(
    loss: Loss, refusal: Reason | None, cancelled: bool
) -> None:
    """Each of its step requests in turn, on each way that it can take."""
    number = 0
    while True:
        number += 1
        watched = Watched()
        watched.saga.send(ROUTES[refusal]("o1"), *([cancel()] if cancelled else []))
        if not lose_the(number, loss, watched.saga):
            break
        # On its way back nobody misses a step request of its way there.
        misses = watched.saga.order("o1").status in (Status.OPEN, Status.CANCELLING)
        assert misses or cancelled
        assert watched.nudges_after(29.9) == 0
        assert watched.nudges_after(0.1) == misses
        watched.saga.finish()
        watched.saga.check(["o1"], {Reason.REQUESTED} | ({refusal} if refusal else set()))
        assert watched.saga.dead() == (["unreadable"] if loss is Saga.spoil else [])
        assert watched.nudges_after(10_000) == 0
    assert number > 2


def test_an_order_whose_downstream_never_answers_is_undone_when_its_tries_are_used_up() -> None:
    """Every reservation is lost: after 30, 60, 120, 240 and 480 s it is given up, and the money goes back."""
    watched = Watched()
    saga = watched.saga
    saga.send(ROUTES[None]("o1"))
    for seconds in (30, 60, 120, 240, 480):
        read_but_lose(saga, "ReservationRequested")
        assert (saga.order("o1").status, saga.balance("c1:GBP")) == (Status.OPEN, "960.00")
        assert watched.nudges_after(seconds - 0.1) == 0
        assert watched.nudges_after(0.1) == 1
    read_but_lose(saga, "ReservationRequested")
    saga.check(["o1"], {Reason.TIMED_OUT})
    assert (saga.order("o1").reason, saga.balance("c1:GBP")) == (Reason.TIMED_OUT, "1000.00")
    assert watched.nudges_after(10_000) == 0


def test_an_undo_that_is_never_answered_is_asked_for_until_it_is() -> None:
    """Inventory is silent for hours: every 8 minutes at least there is one nudge, and at its return the order ends."""
    watched = Watched()
    saga = watched.saga
    saga.send(ROUTES[None]("o1"), cancel())
    for seconds in (30, 60, 120, 240, *[480] * 20):
        read_but_lose(saga, "ReservationRequested", "ReleaseRequested")
        assert saga.order("o1").status is Status.CANCELLING
        assert watched.nudges_after(seconds) == 1
    saga.finish()
    saga.check(["o1"], {Reason.REQUESTED})


def test_a_deadline_survives_a_restart() -> None:
    """Killed after 20 of 30 seconds, the successor's clock nudges 10 seconds later."""
    watched = Watched()
    watched.saga.send(ROUTES[None]("o1"))
    assert lose_the(1, Saga.lose, watched.saga)
    since = watched.saga.order("o1").since
    watched.now = since
    assert watched.nudges_after(20) == 0
    watched.restart()
    assert watched.nudges_after(9.9) == 0
    assert watched.nudges_after(0.1) == 1
    watched.saga.finish()
    watched.saga.check(["o1"], ())


def test_restarts_in_quick_succession_do_not_use_up_the_tries() -> None:
    """A worker that is killed every six seconds, with a clock an hour ahead: each restart nudges once, at most."""
    watched = Watched()
    watched.saga.send(ROUTES[None]("o1"))
    assert lose_the(1, Saga.lose, watched.saga)
    watched.now = BEGINNING + 3600 * SECOND
    watched.restart()
    assert watched.nudges_after((GRACE - 1) / SECOND) == 0
    watched.restart()
    assert watched.nudges_after(GRACE / SECOND) == 1
