"""Rows into calls, and answers into records."""

import re
from typing import Final

from saga_app import wire
from saga_app.core import route
from saga_app.core.outside import ASKS
from saga_app.core.records import Outcome, StepAnswered, StepName
from saga_app.core.rows import JournalRow
from saga_app.effects.ports import Answer, Call

#: Characters of a code and of a detail.
LONGEST_CODE: Final = 64
LONGEST_DETAIL: Final = 200
#: Seconds that a provider is left alone at most, whatever it wants.
LONGEST_WAIT: Final = 600.0
_NOT_IN_CODES: Final = re.compile(r"[^A-Za-z0-9._-]")


def call(app_id: str, step: StepName, row: JournalRow, now: int) -> Call:
    """The call that a row in an asked state asks for, at `now` in milliseconds."""
    effect = row.outside
    assert effect is not None
    order = effect.as_order
    return Call(
        ASKS[row.state],
        f"{app_id}:{step}:{order.order_id}:{effect.asked_at}",
        step,
        order,
        row.segment,
        effect.reference,
        effect.tries,
        max(0, now - effect.asked_at),
    )


def answered(call: Call, answer: Answer, version: int | None = None) -> StepAnswered:
    """The answer as a record; `version` is that of the row that asked. `ValueError` if it breaks the port's rules.

    An answer without a reference is about the one that the call was about.
    """
    detail = None if answer.detail is None else wire.masked(answer.detail[:LONGEST_DETAIL])
    return StepAnswered(
        order_id=call.order.order_id,
        segment=call.segment,
        step=call.step,
        key=route.step(call.step).key(call.order),
        outcome=Outcome(answer.outcome),
        version=version,
        reference=answer.reference or call.reference,
        reason=answer.reason,
        code=None if not answer.code else code(answer.code),
        detail=detail,
        capture_before=answer.capture_before,
    )


def code(text: str) -> str:
    """A provider's word as a code: other characters become `_`, which may first make a card number of it."""
    fit = _NOT_IN_CODES.sub("_", wire.masked(text))[:LONGEST_CODE]
    return _NOT_IN_CODES.sub("_", wire.masked(fit))


def wait(seconds: object) -> float:
    """The seconds that a provider wants to be left alone: 0 to 600, and 0 for what is no number."""
    return min(max(0.0, seconds), LONGEST_WAIT) if isinstance(seconds, int | float) else 0.0
