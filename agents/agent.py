"""The parts of an agent: its topic, its decider, and the loop that consumes, decides and forwards."""

from typing import Protocol

from saga_app.core.decider import Decider
from saga_app.engine.ports import Batches
from saga_app.engine.round import Round


class Agent(Protocol):
    """A module of this package, or the agent of an own step."""

    @property
    def TOPIC(self) -> str: ...  # noqa: N802

    @property
    def DECIDER(self) -> Decider: ...  # noqa: N802

    async def listen(self, inbox: Batches, rounds: Round) -> None:
        """Takes all batches that wait, again and again, decides and forwards them."""
