"""A worker's work as a coroutine that goes on step by step: the simulator is the event loop."""

from collections.abc import Coroutine, Generator
from typing import Any

from tests.simulation.kafka import Send
from tests.simulation.remote import PendingRequest


class StopPoint:
    """Awaited where a worker may be stopped."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class Job:
    """Something that a worker does, step by step, waiting for the broker between some of them."""

    def __init__(self, work: Coroutine[Any, Any, None]) -> None:
        self._work = work
        self._awaits: Send | PendingRequest | None = None

    @property
    def waits(self) -> bool:
        """True if it cannot go on before the broker or a provider answers."""
        return self._awaits is not None and not self._awaits.done

    @property
    def polls(self) -> bool:
        """True if it waits for something other than the broker: its lease, or the time."""
        return self._awaits is None

    @property
    def sends(self) -> bool:
        """True if it is in the middle of an append."""
        return isinstance(self._awaits, Send)

    def step(self) -> bool:
        """Goes on. True if it has ended."""
        try:
            self._awaits = self._work.send(None)
        except StopIteration:
            return True
        return False

    def drop(self) -> None:
        self._work.close()
