"""Answers of the API. The bodies of requests are the records of the wire."""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from saga_app.client.results import OrderEnding
from saga_app.core.labels import STATES
from saga_app.core.records import Reason, StepName
from saga_app.core.rows import State
from saga_app.times import written


def _plainly(value: Any) -> Any:
    return f"{value:f}" if isinstance(value, Decimal) else value


#: PLACED is an order that no worker has taken.
OrderState = Literal[STATES]  # type: ignore[valid-type]
#: As everywhere in this project: ISO 8601, in UTC, with milliseconds.
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Amount = Annotated[str, BeforeValidator(_plainly), Field(examples=["12.50"])]


class ApiAnswer(BaseModel):
    """The base of all answers: they are made from our own rows, so they are not searched for mistakes."""

    model_config = ConfigDict(frozen=True)


class AcceptedOrder(ApiAnswer):
    """The broker has the record. `order` is the address at which to ask about the order."""

    order_id: str
    order: str = Field(examples=["/v1/orders/4711"])


class EndedOrder(ApiAnswer):
    """How an order ended; `reason` and `step` say why it was cancelled, and where it turned round."""

    order_id: str
    status: Literal["COMPLETED", "CANCELLED"]
    reason: Reason | None = None
    step: StepName | None = None
    ended_at: Time

    @classmethod
    def of(cls, ending: OrderEnding) -> "EndedOrder":
        return cls.model_validate({**ending._asdict(), "ended_at": written(ending.ended_at)})


class ListedOrder(ApiAnswer):
    """One order of a list. `steps` has the state of each step that has decided."""

    order_id: str
    status: OrderState
    reason: Reason | None
    step: StepName | None
    customer_id: str | None
    warehouse: str | None
    country: str | None
    currency: str | None
    amount: Amount | None
    placed_at: Time
    ended_at: Time | None
    steps: dict[StepName, State]


class OrderPage(ApiAnswer):
    """Orders, newest first. `next` is the address of the next page, if there is one."""

    orders: list[ListedOrder]
    next: str | None


class WaitsFor(ApiAnswer):
    """The service that an open order waits for, and the record that it must decide next."""

    service: StepName
    request: str
    undoing: bool


class NextMove(ApiAnswer):
    """A thing that happens by itself if nothing comes before."""

    at: Time
    what: str


class OrderedLine(ApiAnswer):
    """One article."""

    sku: str
    quantity: int


class StepTaken(ApiAnswer):
    """The decision of a step, and the time of its compensation if there was one."""

    step: StepName
    state: State
    at: Time | None
    undone_at: Time | None


class TimelineLine(ApiAnswer):
    """A record about the order; `place` is TOPIC:PARTITION:OFFSET, and `dead` says that it is a dead letter."""

    at: Time
    what: str
    place: str
    dead: bool


class NamingLetter(ApiAnswer):
    """A dead letter that names the order."""

    id: str
    time: Time
    reason: str
    detail: str
    replayed: list[Time]
    dismissed: list[str]


class OrderDocument(ApiAnswer):
    """Everything about one order; see docs/reference/output.md. A value that is not known (yet) is null."""

    order_id: str
    status: OrderState | None
    words: str | None
    waits_for: WaitsFor | None
    next: list[NextMove]
    reason: Reason | None
    step: StepName | None
    customer_id: str | None
    warehouse: str | None
    country: str | None
    currency: str | None
    amount: Amount | None
    shipping: Amount | None
    tax: Amount | None
    discount: Amount | None
    patience: int | None
    reference: str | None
    tries: int | None
    placed_at: Time | None
    since: Time | None
    ended_at: Time | None
    metadata: dict[str, str]
    lines: list[OrderedLine]
    steps: list[StepTaken]
    timeline: list[TimelineLine]
    dead_letters: list[NamingLetter]


class AcceptedRecord(ApiAnswer):
    """The broker has the record; the same id twice counts once."""

    id: str


class Replayed(ApiAnswer):
    """The places of the records that were sent, TOPIC:PARTITION:OFFSET each."""

    sent_to: list[str]


class Replay(BaseModel):
    """`force` sends a letter again that is settled."""

    model_config = ConfigDict(extra="forbid", strict=True)
    force: bool = False


class Dismissal(BaseModel):
    """The reason that nothing is to be done."""

    model_config = ConfigDict(extra="forbid", strict=True)
    note: Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]


class Cancellation(BaseModel):
    """The reason for a cancellation, if there is one to tell."""

    model_config = ConfigDict(extra="forbid", strict=True)
    note: Annotated[str, Field(max_length=200)] | None = None


class LetterDocument(ApiAnswer):
    """A record that could not be applied. Bytes that are no UTF-8 stand in base64 under another name."""

    id: str
    reason: str
    detail: str
    time: Time
    sent: Time
    key: str | None = None
    key_base64: str | None = None
    value: str | None = None
    value_base64: str | None = None
    replay_of: str | None
    replayed: list[Time]
    dismissed: list[str]


class LetterPage(ApiAnswer):
    """Dead letters, newest first. `next` is the address of the next page, if there is one."""

    dead_letters: list[LetterDocument]
    next: str | None


class InForce(ApiAnswer):
    """A rule and the partitions in which it is in force: all, except while a new rule spreads.

    `policy_id` is null for the rule that holds until a policy comes.
    """

    service: Literal["checkout", "payment", "shipping"]
    policy_id: str | None
    limit: Amount | None
    countries: list[str] | None
    patience: int | None
    partitions: list[int]


class RulesInForce(ApiAnswer):
    """The rules of all services."""

    policies: list[InForce]


class Alive(ApiAnswer):
    """The process answers."""

    alive: Literal[True] = True


class Readiness(ApiAnswer):
    """`ready` is false if no order can be taken; `why` also says what is wrong with the order database."""

    ready: bool
    why: str


def dump(answer: ApiAnswer) -> dict[str, Any]:
    """For JSON."""
    return answer.model_dump(mode="json")
