"""Workers that the group has given partitions."""

from saga_app.core.numbers import Generation
from saga_app.engine.assignment import Assignment


def holding(generation: int, *partitions: int) -> Assignment:
    """An assignment of these partitions, or of the first one, which are restored."""
    assignment = Assignment()
    hold(assignment, generation, *partitions)
    return assignment


def hold(assignment: Assignment, generation: int, *partitions: int) -> None:
    """The group gives these partitions, or the first one, and they are restored."""
    given = Generation(generation)
    assignment.assign(given, partitions or (0,))
    assert assignment.hold(given)
