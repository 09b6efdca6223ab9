"""The port to a provider: who has the effect of a step outside, such as a payment service or a carrier.

An answer is a fact about one reference at the provider, and not the result of one call. Facts only grow (nothing, done,
undone; or nothing, refused), so answers that come late, twice or in another order do no harm.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, Protocol

from saga_app.core import route
from saga_app.core.order import Order
from saga_app.core.outside import Action
from saga_app.core.records import Outcome, Reason, StepAnswered, StepName


class Call(NamedTuple):
    """One question to a provider about one effect; it may be asked any number of times, by two workers at once.

    `effect` is `app:step:order:asked_at`: equal at every attempt, and never used for another effect, not even of a
    later order with the same id. `reference` is the provider's own name of the effect, once an answer has brought one,
    or the one that a customer began before (`order.payment_reference`, without the provider). `tries` counts the
    answers that brought nothing new since the last one that did. `age` is in milliseconds since the effect was asked
    for the first time, by Kafka's time: a provider that forgets keys may rely on a key as long as it remembers, less a
    margin.
    """

    action: Action
    effect: str
    step: StepName
    order: Order
    segment: str | None
    reference: str | None
    tries: int
    age: int

    @property
    def captures_later(self) -> bool:
        """True if `do` only authorises the payment: `capture` is asked once the order is shipped."""
        return self.step is StepName.PAYMENT and route.is_captured_later(self.order)

    def key(self, request: str) -> str:
        """The idempotency key of one request, equal at every attempt: the effect, a colon and the request."""
        return f"{self.effect}:{request}"


class Answer(NamedTuple):
    """The word of a provider about an effect, whatever it was asked for.

    - `done`: the effect is there; it needs a reference, or nobody could undo it. If `call.captures_later`, the money is
      authorised, and not taken.
    - `captured`: the money that was authorised is taken, all of it; the answer to `capture`.
    - `refused`: *sealed*. The effect is not there, and no request that is still under way can bring it.
    - `undone`: the effect was there and is taken back, all of it.
    - `pending`: the provider is not ready; `unknown`: nobody knows. Both say nothing, and the call is made again.

    A reference that comes with any outcome is written into the row, and comes back with every later call. `code` is the
    provider's word, 64 of `A-Z a-z 0-9 . _ -` at most; `reason` is why the customer is refused, `declined` if absent;
    `detail` is for people, 200 characters at most, and has no secrets. `wait`: seconds before which the provider does
    not want to be asked again (`Retry-After`), 600 at most: more is taken for that. `capture_before`: seconds since
    1970 at which an authorisation runs out.
    """

    outcome: Outcome
    reference: str | None = None
    code: str | None = None
    reason: Reason | None = None
    detail: str | None = None
    wait: float = 0.0
    capture_before: int | None = None


class ProviderMode(StrEnum):
    """In test mode no money is real and no parcel leaves."""

    TEST = "test"
    LIVE = "live"


class ProviderReport(NamedTuple):
    """The word of a provider about itself: it has answered, and accepts our key.

    `mode` is None if nobody knows it; `clock` is the provider's time of the answer, if it names one; `hears_events`:
    whether the secret of its events is set here, None if it sends none.
    """

    mode: ProviderMode | None = None
    clock: datetime | None = None
    hears_events: bool | None = None


class TrialPayment(NamedTuple):
    """A payment of a provider's test mode, for `saga try --provider`: the order that it is for, and how it must end.

    `fields` are those of the order; `ends`: the outcomes of which the provider must tell one at the end.
    """

    order_id: str
    what: str
    fields: Mapping[str, str]
    ends: frozenset[Outcome]

    @property
    def completes(self) -> bool:
        """True if the order is completed, and the money taken."""
        return Outcome.DONE in self.ends


class KeyRefused(Exception):
    """The provider does not accept our key, or does not let it do what the saga needs; the message says which."""


class NoAnswer(Exception):
    """The provider did not answer, or not for now. `code` and `wait` are as in an answer."""

    def __init__(self, code: str, detail: str = "", wait: float = 0.0) -> None:
        super().__init__(f"{code} {detail}".strip())
        self.code = code
        self.wait = wait


class Effect(NamedTuple):
    """One entry of a provider's ledger, for `saga reconcile`: what the provider has, and for which order.

    The five fields from `order_id` to `effect` are what the provider keeps of the call; they are None where somebody
    else made the entry. `amount` is in units of the currency, and None where the effect is no money.
    """

    reference: str
    outcome: Outcome
    at: datetime
    order_id: str | None = None
    segment: str | None = None
    step: StepName | None = None
    key: str | None = None
    effect: str | None = None
    amount: Decimal | None = None
    currency: str | None = None
    code: str | None = None


class Provider(Protocol):
    """Each verb may be asked any number of times, by two workers at once. An exception is `unknown`.

    Raise `NoAnswer`, `TimeoutError` or `OSError` if the provider did not answer, or not for now (no connection, 429,
    5xx): after some of these in a row the dispatcher asks by one call at a time, until there is an answer again. Any
    other exception is taken for a fault with this one order. Return
    `unknown` if the provider answered and cannot say, so that a person must look. The text of an exception is logged,
    so it has no secrets.

    A provider may have a method `async def report(self) -> ProviderReport`, for `saga doctor`: it asks for something
    that changes nothing, and raises `KeyRefused` besides. For `saga try --provider` it may have `async def
    trial_payments(self, name, prefix, amount, currency, not_served) -> list[TrialPayment]`, which works in test mode
    only.
    """

    async def do(self, call: Call) -> Answer:
        """Makes the effect happen."""

    async def prevent(self, call: Call) -> Answer:
        """Makes sure that the effect does not happen, or finds that it has: `refused` only once it is sealed."""

    async def undo(self, call: Call) -> Answer:
        """Takes back what has happened."""

    async def capture(self, call: Call) -> Answer:
        """Takes the money that `do` has authorised; only for payments, where `call.captures_later`."""

    async def event(self, body: bytes, headers: Mapping[str, str]) -> StepAnswered | None:
        """The truth now about the effect that an event of the provider is about (a webhook); None if it is not ours.

        The event is verified, and then the provider is asked: events come late, twice and in another order.
        `ValueError` if the provider did not send it.
        """

    def ledger(self, since: datetime) -> AsyncIterator[Effect]:
        """Every effect that the provider has begun since then, whoever asked for it."""
