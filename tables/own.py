"""The journals of own steps, one for each module of `SAGA_STEPS`."""

from saga_app.core.own_steps import OwnStep
from saga_app.core.step import by_order
from tables.card import TableCard


def card(own: OwnStep) -> TableCard:
    """The card of an own step's journal."""
    step = own.step
    return TableCard(
        name=step.journal,
        key="order id",
        help=f"What {step.name} decided, by order id: with the state and the reason.",
        keyed_by_order=step.key is by_order,
    )
