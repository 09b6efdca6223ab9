"""The assignment: which partitions this worker has, of which generation of the group, and how far it is with them.

Each rebalance begins a new generation. What belongs to an earlier one (a fetched batch, a round, a restore) carries
its number, and asks here whether that is still ours. The transitions, each made by the main loop only:

    assign    the group gave us partitions             any -> PREPARING
    hold      they are restored, and reading begins    PREPARING -> HELD
    give_up   the group takes them back                any -> GIVEN_UP
    stop      the worker ends                          any -> STOPPED, and nothing changes that
"""

from collections.abc import Iterable
from enum import Enum, auto
from typing import Final, NamedTuple

from saga_app.core.numbers import Generation


class Standing(Enum):
    """How far a worker is with its partitions."""

    NONE = auto()
    PREPARING = auto()
    HELD = auto()
    GIVEN_UP = auto()
    STOPPED = auto()


class _Now(NamedTuple):
    standing: Standing
    generation: Generation | None
    partitions: frozenset[int]


_NOBODYS: Final[frozenset[int]] = frozenset()


class Assignment:
    """One for the whole worker; other threads may ask it, as it changes in one step."""

    def __init__(self) -> None:
        self._now = _Now(Standing.NONE, None, _NOBODYS)

    def assign(self, generation: Generation, partitions: Iterable[int]) -> None:
        """The group gave us these partitions of each inbox.

        Kafka may give the same generation again to a member that had to ask twice, also after that was given up.
        """
        self._change(Standing.PREPARING, generation, partitions)

    def hold(self, generation: Generation) -> bool:
        """The partitions are restored and this worker begins to read; False if the group was quicker."""
        if self.preparing != generation:
            return False
        self._change(Standing.HELD, generation, self._now.partitions)
        return True

    def give_up(self) -> None:
        """The group takes the partitions back: a round that runs may finish, and nothing else begins."""
        self._change(Standing.GIVEN_UP, self._now.generation, _NOBODYS)

    def stop(self) -> None:
        """The worker ends."""
        self._change(Standing.STOPPED, self._now.generation, _NOBODYS)

    @property
    def held(self) -> Generation | None:
        """The generation of which this worker reads and decides, if it does."""
        return self._now.generation if self._now.standing is Standing.HELD else None

    @property
    def preparing(self) -> Generation | None:
        """The generation of which this worker restores partitions, if it does."""
        return self._now.generation if self._now.standing is Standing.PREPARING else None

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions of each inbox that are being prepared, or held."""
        return self._now.partitions

    def is_ours(self, generation: Generation) -> bool:
        """True until the partitions of this generation are given up."""
        now = self._now
        return now.generation == generation and now.standing in (Standing.PREPARING, Standing.HELD)

    def may_finish(self, generation: Generation) -> bool:
        """True as well for a round that runs while they are given up: what it made durable is committed with them."""
        now = self._now
        return now.generation == generation and now.standing in (Standing.HELD, Standing.GIVEN_UP)

    def _change(self, standing: Standing, generation: Generation | None, partitions: Iterable[int]) -> None:
        if self._now.standing is not Standing.STOPPED:
            self._now = _Now(standing, generation, frozenset(partitions))
