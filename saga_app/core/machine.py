"""A machine is a table: for every state and every input one transition, or a dead letter."""

from typing import Generic, NamedTuple, TypeVar

from saga_app.core.errors import Fault

StateT_co = TypeVar("StateT_co", covariant=True)
OutputT_co = TypeVar("OutputT_co", covariant=True)


class Transition(NamedTuple, Generic[StateT_co, OutputT_co]):
    """The next state, the output, and a note for people if there is one."""

    to: StateT_co
    output: OutputT_co
    note: str | None = None


class DeadLettered(NamedTuple):
    """The record becomes a dead letter and nothing changes; `{status}` in the detail is the status of the order."""

    fault: Fault
    detail: str
