"""The contract of the HTTP provider: what a service in any language is asked, and what it answers, as JSON.

`docs/reference/provider.yaml` is this module as OpenAPI, and `docs/how-to/call-your-own-service.md` explains it.
"""

from datetime import UTC
from typing import Annotated, Final, Literal, Self
from urllib.parse import quote

from pydantic import AwareDatetime, ConfigDict, Field, model_validator

from saga_app.core import outside
from saga_app.core.fields import Code, Currency, Id, Model, Money, Natural, Note, Reference, SegmentName
from saga_app.core.order import Order
from saga_app.core.records import Outcome, Reason, StepName
from saga_app.effects import ports

#: Bytes of an answer, and of a page of the ledger.
MOST_BYTES: Final = 64 * 1024
MOST_LEDGER_BYTES: Final = 4 * 1024 * 1024
#: Seconds for which an answer may ask not to be asked again.
LONGEST_WAIT: Final = 86_400.0

EffectName = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9._:-]+$")]


def effect_path(effect: str) -> str:
    """The name of an effect as a part of an address."""
    return quote(effect, safe="")


class _Answered(Model):
    """The base of what a server sends. Nobody reads unknown fields: servers and workers change in turns."""

    model_config = ConfigDict(extra="allow")

    @property
    def unknown_fields(self) -> set[str]:
        """The names of fields that the contract does not have."""
        return set(self.model_extra or ())


class HttpCall(Model):
    """One question about one effect. It may come any number of times, from two workers at once, and late."""

    action: Annotated[outside.Action, Field(strict=False, description="The verb, as in the path.")]
    effect: Annotated[
        EffectName,
        Field(
            description="The name of the effect: equal in every call about it, and never used for another one. "
            "Remember the effect under this name."
        ),
    ]
    step: Annotated[StepName, Field(strict=False, description="The step of the saga, as in the path.")]
    order: Annotated[Order, Field(description="The whole order. Money is a string of digits.")]
    segment: Annotated[
        SegmentName | None,
        Field(description="Tells orders apart that have the same id, one after the other: keep it."),
    ] = None
    reference: Annotated[
        Reference | None, Field(description="Your own name of the effect, once an answer has told it.")
    ] = None
    tries: Annotated[
        Natural, Field(description="Answers that brought nothing new since the last one that did.")
    ]
    age: Annotated[Natural, Field(description="Milliseconds since the effect was asked for the first time.")]
    authorise: Annotated[
        Literal[True] | None,
        Field(
            description="The payment is taken in two: `do` only authorises the money, `capture` takes it once the "
            "order is shipped, and an `undo` before that lets the authorisation go."
        ),
    ] = None

    @classmethod
    def about(cls, call: ports.Call, order: Order | None = None) -> Self:
        """The call as it is sent; `order` in place of its own."""
        authorise = True if call.captures_later else None
        return cls.of(**{**call._asdict(), "order": order or call.order, "authorise": authorise})


class HttpAnswer(_Answered):
    """The truth about the effect now, whatever the verb was.

    `done`: it is there; with `authorise`, the money is held. `captured`: that money is taken. `refused`: it is not
    there, and no call that is still under way can bring it. `undone`: it was there, and is taken back or let go.
    `pending`: not ready, ask again. `unknown`: I do not know, ask again.
    """

    outcome: Annotated[Outcome, Field(strict=False)]
    reference: Annotated[
        Reference | None, Field(description="Your name of the effect; `done` and `captured` need one.")
    ] = None
    code: Annotated[Code | None, Field(description="Your code for why, for people.")] = None
    reason: Annotated[
        Reason | None,
        Field(strict=False, description="Why the customer is refused; `declined` if it is left out."),
    ] = None
    detail: Annotated[Note | None, Field(description="A sentence for people, without secrets.")] = None
    wait: Annotated[
        float,
        Field(ge=0, le=LONGEST_WAIT, description="Seconds before which you do not want to be asked again."),
    ] = 0.0
    capture_before: Annotated[
        AwareDatetime | None,
        Field(strict=False, description="When the authorisation runs out, in RFC 3339."),
    ] = None

    @model_validator(mode="after")
    def _names_what_is_done(self) -> Self:
        if self.outcome in (Outcome.DONE, Outcome.CAPTURED) and self.reference is None:
            raise ValueError("an effect that is done has a reference")
        return self

    def answer(self) -> ports.Answer:
        before = None if self.capture_before is None else max(0, int(self.capture_before.timestamp()))
        fields = {name: getattr(self, name) for name in ports.Answer._fields}
        return ports.Answer(**{**fields, "capture_before": before})


class HttpEffect(_Answered):
    """One entry of the ledger: an effect that was asked for, and what is true of it now."""

    effect: EffectName
    step: Annotated[StepName, Field(strict=False)]
    order_id: Id
    segment: SegmentName | None = None
    outcome: Annotated[Outcome, Field(strict=False)]
    reference: Reference | None = None
    code: Code | None = None
    at: Annotated[
        AwareDatetime, Field(strict=False, description="When you were first asked for it, in RFC 3339.")
    ]
    amount: Annotated[Money | None, Field(description="What it has taken, if it is money.")] = None
    currency: Currency | None = None

    def entry(self) -> ports.Effect:
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return ports.Effect(**{**fields, "reference": self.reference or "", "at": self.at.astimezone(UTC)})


class Ledger(_Answered):
    """A page of the ledger. `next` asks for the page after it, as `after`; the last page has none."""

    effects: tuple[HttpEffect, ...] = Field(strict=False)
    next: Annotated[str | None, Field(min_length=1, max_length=200)] = None
