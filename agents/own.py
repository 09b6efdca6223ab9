"""The agents of own steps, one for each module of `SAGA_STEPS`; see `saga_app.core.own_steps`."""

from saga_app import topics
from saga_app.core.own_steps import OwnStep
from saga_app.core.participant import Participant
from saga_app.engine.ports import Batches
from saga_app.engine.round import Round


class OwnAgent:
    """As the modules of the other agents: topic, decider, and the loop."""

    def __init__(self, own: OwnStep) -> None:
        self.TOPIC = topics.inbox(own.step.name)
        self.DECIDER = Participant(own.rule)

    async def listen(self, inbox: Batches, rounds: Round) -> None:
        """Decides an order's step, and asks the next one to act or the one before to compensate."""
        async for batches in inbox:
            for decided in rounds.decide(batches):
                await rounds.forward(decided)
