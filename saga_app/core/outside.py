"""Effects at a provider outside: a step asks, writes down what it is told, and sends the order on when it knows.

The decider calls nobody. A row in an asked state says what must be found out; the dispatcher (`saga_app.effects`) asks
the provider again and again, and what it is told comes back as a `StepAnswered` in the same partition of the inbox.

An answer is a fact about one reference at the provider: the effect is there; or it is refused, so that it never will
be; or it was there and is taken back. Facts only grow, so facts that come late, twice or in another order do no harm.
What is pending or unknown is no fact: it counts for the row that asked, and for no later one.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from saga_app.core.machine import Transition
from saga_app.core.records import Outcome
from saga_app.core.rows import ASKED_STATES, State


class Outside(NamedTuple):
    """The provider that has the effect of a step. `begun`: its name of the effect, if a customer began that before."""

    provider: str
    begun: str | None = None

    @classmethod
    def of(cls, provided: str, *, begun: bool = False) -> "Outside":
        """From a provider, a colon, and the provider's name of a thing."""
        provider, _, name = provided.partition(":")
        return cls(provider, name if begun else None)


class Action(StrEnum):
    """The reason to call a provider."""

    DO = "do"
    PREVENT = "prevent"
    UNDO = "undo"
    CAPTURE = "capture"


#: What a row in an asked state asks for.
ASKS: Final[Mapping[State, Action]] = {
    State.DOING: Action.DO,
    State.PREVENTING: Action.PREVENT,
    State.UNDOING: Action.UNDO,
    State.CAPTURING: Action.CAPTURE,
}
assert set(ASKS) == ASKED_STATES


class OutsideInput(StrEnum):
    """A request or an answer as the machine sees it; the rule is asked only if the order has no row yet."""

    ACCEPTED = "do, accepted"
    REFUSED = "do, refused"
    BEGUN_REFUSED = "do, refused, begun before"
    AGAIN = "do again"
    UNDO = "undo"
    BEGUN_UNDO = "undo, begun before"
    CAPTURE = "capture"
    DONE = "done"
    CAPTURED = "captured"
    SEALED = "refused"
    UNDONE = "undone"
    NO_FACT = "pending or unknown"


class OutsideOutput(StrEnum):
    """The way that the order goes from here; or the provider said what cannot be, and people are called.

    A conflict is written into the row. It is no dead letter: on a replay the row is further on, and it would be lost.
    """

    SEND_ON = "send on"
    SEND_BACK = "send back"
    NOTHING = ""
    CONFLICT = "conflict"


OutsideTransition = Transition[State | None, OutsideOutput]
#: Without a next state the row stays as it is. A next state writes the row, even if the state is the same.
STAY: Final = OutsideTransition(None, OutsideOutput.NOTHING)
ON: Final = OutsideTransition(None, OutsideOutput.SEND_ON)
BACK: Final = OutsideTransition(None, OutsideOutput.SEND_BACK)
CONFLICT: Final = OutsideTransition(None, OutsideOutput.CONFLICT)


def _to(state: State, output: OutsideOutput = OutsideOutput.NOTHING) -> OutsideTransition:
    return OutsideTransition(state, output)


Inputs = Mapping[OutsideInput, OutsideTransition]


def _ended(done: OutsideTransition) -> Inputs:
    """A state that no record changes: requests are sent back, and answers change nothing."""
    return {
        OutsideInput.AGAIN: BACK,
        OutsideInput.UNDO: BACK,
        OutsideInput.DONE: done,
        OutsideInput.SEALED: STAY,
        OutsideInput.UNDONE: STAY,
        OutsideInput.NO_FACT: STAY,
    }


#: Nothing is sent while a provider is asked. An answer that comes before its order is lost: the first call asks again.
MACHINE: Final[Mapping[State | None, Inputs]] = {
    None: {
        OutsideInput.ACCEPTED: _to(State.DOING),
        OutsideInput.REFUSED: _to(State.REFUSED, OutsideOutput.SEND_BACK),
        OutsideInput.BEGUN_REFUSED: _to(State.PREVENTING),
        OutsideInput.UNDO: _to(State.VOID, OutsideOutput.SEND_BACK),
        OutsideInput.BEGUN_UNDO: _to(State.PREVENTING),
        OutsideInput.DONE: STAY,
        OutsideInput.SEALED: STAY,
        OutsideInput.UNDONE: STAY,
        OutsideInput.NO_FACT: STAY,
    },
    State.DOING: {
        OutsideInput.AGAIN: STAY,
        OutsideInput.UNDO: _to(State.PREVENTING),
        OutsideInput.DONE: _to(State.DONE, OutsideOutput.SEND_ON),
        OutsideInput.SEALED: _to(State.REFUSED, OutsideOutput.SEND_BACK),
        OutsideInput.UNDONE: _to(State.REFUSED, OutsideOutput.SEND_BACK),
        OutsideInput.NO_FACT: _to(State.DOING),
    },
    State.PREVENTING: {
        OutsideInput.AGAIN: STAY,
        OutsideInput.UNDO: STAY,
        OutsideInput.DONE: _to(State.UNDOING),
        OutsideInput.SEALED: _to(State.REFUSED, OutsideOutput.SEND_BACK),
        OutsideInput.UNDONE: _to(State.REFUSED, OutsideOutput.SEND_BACK),
        OutsideInput.NO_FACT: _to(State.PREVENTING),
    },
    State.DONE: {
        OutsideInput.AGAIN: ON,
        OutsideInput.UNDO: _to(State.UNDOING),
        OutsideInput.DONE: STAY,
        OutsideInput.SEALED: CONFLICT,
        OutsideInput.UNDONE: CONFLICT,
        OutsideInput.NO_FACT: STAY,
    },
    State.UNDOING: {
        OutsideInput.AGAIN: STAY,
        OutsideInput.UNDO: STAY,
        OutsideInput.DONE: STAY,
        # It was done, or it would not be undone: whoever denies that now says nothing of where it went.
        OutsideInput.SEALED: CONFLICT,
        OutsideInput.UNDONE: _to(State.UNDONE, OutsideOutput.SEND_BACK),
        OutsideInput.NO_FACT: _to(State.UNDOING),
    },
    State.REFUSED: _ended(CONFLICT),
    State.UNDONE: _ended(STAY),
    State.VOID: _ended(CONFLICT),
}

#: Past the pivot nothing is undone: an effect that is found done completes the order.
PIVOT_MACHINE: Final[Mapping[State | None, Inputs]] = {
    **MACHINE,
    State.PREVENTING: {
        **MACHINE[State.PREVENTING],
        OutsideInput.DONE: _to(State.DONE, OutsideOutput.SEND_ON),
    },
    State.DONE: {**MACHINE[State.DONE], OutsideInput.UNDO: ON},
}

#: A payment that is captured afterwards: DONE is authorised. Past the pivot there is only forward: a provider that
#: denies the authorisation is in conflict, and is asked for ever. `done` says that nothing was captured yet. To prevent
#: an authorisation lets it go: it was there, so a late `done` is no surprise.
CAPTURE_MACHINE: Final[Mapping[State | None, Inputs]] = {
    **MACHINE,
    State.DOING: {
        **MACHINE[State.DOING],
        OutsideInput.UNDONE: _to(State.UNDONE, OutsideOutput.SEND_BACK),
    },
    State.PREVENTING: {
        **MACHINE[State.PREVENTING],
        OutsideInput.UNDONE: _to(State.UNDONE, OutsideOutput.SEND_BACK),
    },
    State.DONE: {**MACHINE[State.DONE], OutsideInput.CAPTURE: _to(State.CAPTURING)},
    State.CAPTURING: {
        OutsideInput.AGAIN: STAY,
        OutsideInput.CAPTURE: STAY,
        OutsideInput.DONE: STAY,
        OutsideInput.CAPTURED: _to(State.CAPTURED, OutsideOutput.SEND_ON),
        OutsideInput.SEALED: CONFLICT,
        OutsideInput.UNDONE: CONFLICT,
        OutsideInput.NO_FACT: _to(State.CAPTURING),
    },
    State.CAPTURED: {
        OutsideInput.AGAIN: ON,
        OutsideInput.CAPTURE: ON,
        OutsideInput.DONE: STAY,
        OutsideInput.CAPTURED: STAY,
        OutsideInput.SEALED: CONFLICT,
        OutsideInput.UNDONE: CONFLICT,
        OutsideInput.NO_FACT: STAY,
    },
}
#: Behind the pivot nothing is undone: a step there is never refused. Whoever denies its effect is in conflict.
RETRIABLE_MACHINE: Final[Mapping[State | None, Inputs]] = {
    None: {
        OutsideInput.ACCEPTED: _to(State.DOING),
        OutsideInput.REFUSED: STAY,
        OutsideInput.DONE: STAY,
        OutsideInput.SEALED: STAY,
        OutsideInput.UNDONE: STAY,
        OutsideInput.NO_FACT: STAY,
    },
    State.DOING: {
        OutsideInput.AGAIN: STAY,
        OutsideInput.DONE: _to(State.DONE, OutsideOutput.SEND_ON),
        OutsideInput.SEALED: CONFLICT,
        OutsideInput.UNDONE: CONFLICT,
        OutsideInput.NO_FACT: _to(State.DOING),
    },
    State.DONE: {
        OutsideInput.AGAIN: ON,
        OutsideInput.DONE: STAY,
        OutsideInput.SEALED: CONFLICT,
        OutsideInput.UNDONE: CONFLICT,
        OutsideInput.NO_FACT: STAY,
    },
}

INPUTS: Final[Mapping[Outcome, OutsideInput]] = {
    Outcome.DONE: OutsideInput.DONE,
    Outcome.CAPTURED: OutsideInput.CAPTURED,
    Outcome.REFUSED: OutsideInput.SEALED,
    Outcome.UNDONE: OutsideInput.UNDONE,
    Outcome.PENDING: OutsideInput.NO_FACT,
    Outcome.UNKNOWN: OutsideInput.NO_FACT,
}


def told(states: Inputs, outcome: Outcome) -> OutsideTransition:
    """The transition by an answer. Where a state does not tell them apart, what is captured is done."""
    return states.get(INPUTS[outcome]) or states[OutsideInput.DONE]
