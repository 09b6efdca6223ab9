"""The columns of `saga effects`."""

from typing import Any, Final, NamedTuple

from saga_app.commands.render.listing import Column, Listing
from saga_app.commands.render.terminal import Screen
from saga_app.core.labels import effect
from saga_app.core.records import StepName
from saga_app.core.rows import ASKED_STATES, JournalRow
from saga_app.effects.dispatcher import IN_DOUBT
from saga_app.effects.reading import RUNS_OUT_SOON
from saga_app.text import printable
from saga_app.times import duration, written


class ListedEffect(NamedTuple):
    """The row of a step whose effect is at a provider; `now` in milliseconds."""

    order_id: str
    step: StepName
    row: JournalRow
    now: int

    @property
    def provider(self) -> str:
        """Empty where a provider said something of a step that had asked nobody."""
        return "" if self.row.outside is None else self.row.outside.provider

    @property
    def is_asked(self) -> bool:
        return self.row.state in ASKED_STATES

    @property
    def age(self) -> int:
        """Milliseconds since it was asked for first."""
        return 0 if self.row.outside is None else max(0, self.now - self.row.outside.asked_at)

    @property
    def is_in_doubt(self) -> bool:
        """True if nobody has known about it for so long that people should look."""
        return self.is_asked and self.age > IN_DOUBT

    @property
    def runs_out(self) -> int | None:
        """When an authorisation that is not captured runs out, in milliseconds; None if it does not."""
        return None if self.row.held_until is None else self.row.held_until * 1000

    @property
    def runs_out_soon(self) -> bool:
        """True if it runs out so soon that people should look."""
        return self.runs_out is not None and self.runs_out - self.now < RUNS_OUT_SOON * 1000

    @property
    def needs_a_person(self) -> bool:
        return self.is_in_doubt or self.row.conflict is not None or self.runs_out_soon

    def in_words(self) -> str:
        """The state of knowledge, for people."""
        return effect(self.row.state, self.row.conflict, is_held=self.runs_out is not None)

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        outside = self.row.outside
        return {
            "order_id": self.order_id,
            "step": self.step,
            "provider": self.provider or None,
            "state": self.row.state,
            "reference": outside and outside.reference,
            "asked_at": outside and written(outside.asked_at),
            "tries": outside and outside.tries,
            "code": outside and outside.code,
            "in_doubt": self.is_in_doubt,
            "conflict": self.row.conflict,
            "capture_before": None if self.runs_out is None else written(self.runs_out),
        }


def _of(name: str) -> Column:
    def text(each: ListedEffect, screen: Screen) -> str:
        value = None if each.row.outside is None else getattr(each.row.outside, name)
        return "" if value is None else printable(str(value))

    return Column(name, text, is_right=name == "tries")


def _age(each: ListedEffect, screen: Screen) -> str:
    return duration(each.age) if each.is_asked else ""


def _left(each: ListedEffect, screen: Screen) -> str:
    if each.runs_out is None:
        return ""
    return duration(each.runs_out - each.now) if each.runs_out > each.now else "ran out"


#: Rows are `ListedEffect`s.
EFFECTS: Final = Listing(
    (
        Column("order", lambda each, screen: printable(each.order_id)),
        Column("step", lambda each, screen: each.step.value),
        Column("provider", lambda each, screen: each.provider),
        Column(
            "state",
            lambda each, screen: screen.paint(each.in_words(), fg="red" if each.needs_a_person else None),
        ),
        Column("for", _age, is_right=True),
        Column("left", _left, is_right=True),
        _of("tries"),
        _of("code"),
        _of("reference"),
    ),
    ListedEffect.as_json,
    lambda each: each.order_id,
    (
        "order_id",
        "step",
        "provider",
        "state",
        "reference",
        "asked_at",
        "tries",
        "code",
        "in_doubt",
        "conflict",
        "capture_before",
    ),
    "no effects are asked for, and none is in conflict",
)
