"""The assignment: how far a worker is with its partitions, and of which generation something is still its own."""

from collections.abc import Callable

import pytest

from saga_app.core.numbers import Generation
from saga_app.engine.assignment import Assignment
from tests.support.assigned import holding

Step = Callable[[Assignment], object]

BEFORE, THIS = Generation(2), Generation(3)


def assign(generation: int) -> Step:
    return lambda assignment: assignment.assign(Generation(generation), {0, 1})


def hold(generation: int) -> Step:
    return lambda assignment: assignment.hold(Generation(generation))


def after(*steps: Step) -> Assignment:
    assignment = Assignment()
    for step in steps:
        step(assignment)
    return assignment


give_up: Step = Assignment.give_up
stop: Step = Assignment.stop


@pytest.mark.parametrize(
    ("steps", "preparing", "held"),
    [
        ((), None, None),
        ((assign(3),), 3, None),
        ((assign(3), hold(3)), None, 3),
        ((assign(3), hold(3), give_up), None, None),
        ((assign(3), give_up), None, None),
        ((assign(3), hold(3), give_up, assign(4)), 4, None),
        ((assign(3), assign(4)), 4, None),
        # Kafka gives the same generation again to a member that had to ask twice.
        ((assign(3), give_up, assign(3), hold(3)), None, 3),
        # A group that was forgotten begins with 1 again.
        ((assign(57), hold(57), give_up, assign(1), hold(1)), None, 1),
        ((assign(3), stop), None, None),
        ((stop, assign(3)), None, None),
        ((assign(3), hold(3), stop, give_up, assign(4)), None, None),
    ],
)
def test_each_step_leads_where_it_should(
    steps: tuple[Step, ...], preparing: int | None, held: int | None
) -> None:
    assignment = after(*steps)
    assert (assignment.preparing, assignment.held) == (preparing, held)
    has = preparing is not None or held is not None
    assert assignment.partitions == ({0, 1} if has else set())


@pytest.mark.parametrize(
    "steps", [(), (assign(4),), (assign(3), give_up), (assign(3), give_up, assign(4)), (assign(3), stop)]
)
def test_only_a_generation_that_is_being_prepared_can_be_held(steps: tuple[Step, ...]) -> None:
    """The next rebalance, or the stop, was quicker than the restore."""
    assignment = after(*steps)
    assert not assignment.hold(THIS)
    assert assignment.held is None


def test_a_generation_is_ours_until_it_is_given_up() -> None:
    assignment = after(assign(3))
    assert assignment.is_ours(THIS) and not assignment.is_ours(BEFORE)
    assignment.hold(THIS)
    assert assignment.is_ours(THIS)
    assignment.give_up()
    assert not assignment.is_ours(THIS)


def test_a_round_may_finish_while_its_partitions_are_given_up_and_not_later() -> None:
    assignment = after(assign(3))
    assert not assignment.may_finish(THIS), "no round has begun"
    assignment = holding(3)
    assert assignment.may_finish(THIS) and not assignment.may_finish(BEFORE)
    assignment.give_up()
    assert assignment.may_finish(THIS)
    assignment.assign(Generation(4), {0})
    assert not assignment.may_finish(THIS)
