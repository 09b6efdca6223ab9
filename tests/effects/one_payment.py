"""One payment at a faulty Stripe: the real decider, the real provider, and what must be true at every moment."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from saga_app.core.order import Order
from saga_app.core.records import Outcome, Record
from saga_app.core.rows import ASKED_STATES, STANDING_STATES, JournalRow, State
from saga_app.effects import calls
from saga_app.effects.ports import Answer, Call
from saga_app.effects.providers.stripe import Stripe
from saga_app.local.stripe.proxy import StripeProxy
from tests.support.examples import CAPTURED_LATER, capture, order, pay, refund
from tests.support.given import BEGINNING, PAYMENT, SECOND, Story

#: Asks after which a payment must be settled once nothing fails any more.
MOST_ASKS: Final = 12
CARDS: Final = {"good": "4242424242424242", "declined": "4000000000000341", "3-D Secure": "4000002500003155"}


class PaymentScene(NamedTuple):
    """`undo_after`: asks after which the order turns round; None if it does not.

    `later`: the payment is captured once it is shipped.
    """

    name: str
    begin: Callable[[StripeProxy], Awaitable[Order]]
    undo_after: int | None
    ends: frozenset[State]
    later: bool = False


async def _method(proxy: StripeProxy, card: str) -> str:
    made = await proxy.ask(
        "POST",
        "/v1/payment_methods",
        **{
            "type": "card",
            "card[number]": CARDS[card],
            "card[exp_month]": 12,
            "card[exp_year]": 2030,
            "card[cvc]": 123,
        },
    )
    return str(made["id"])


def saved(card: str) -> Callable[[StripeProxy], Awaitable[Order]]:
    """An order with a saved method."""

    async def begin(proxy: StripeProxy) -> Order:
        return order(payment_method=f"stripe:{await _method(proxy, card)}")

    return begin


def begun(*, confirmed: bool = True, **fields: Any) -> Callable[[StripeProxy], Awaitable[Order]]:
    """An order whose payment the front end has made, and the customer perhaps confirmed."""

    async def begin(proxy: StripeProxy) -> Order:
        wanted = {"amount": 4000, "currency": "gbp", "capture_method": "manual", "metadata[saga_order]": "o1"}
        made = await proxy.ask(
            "POST",
            "/v1/payment_intents",
            **{"payment_method": await _method(proxy, "good"), **wanted, **fields},
        )
        if confirmed:
            await proxy.ask("POST", f"/v1/payment_intents/{made['id']}/confirm")
        return order(payment_reference=f"stripe:{made['id']}")

    return begin


CAPTURED: Final = frozenset({State.CAPTURED})
PAID, NOT_PAID = frozenset({State.DONE}), frozenset({State.REFUSED, State.VOID, State.UNDONE})
SCENES: Final = (
    PaymentScene("saved", saved("good"), None, PAID),
    PaymentScene("saved, cancelled at once", saved("good"), 0, NOT_PAID),
    PaymentScene("saved, cancelled when the intent is made", saved("good"), 1, NOT_PAID),
    PaymentScene("saved, cancelled when it is paid", saved("good"), 2, NOT_PAID),
    PaymentScene("saved, declined", saved("declined"), None, NOT_PAID),
    PaymentScene("saved, 3-D Secure and nobody there", saved("3-D Secure"), None, NOT_PAID),
    PaymentScene("begun", begun(), None, PAID),
    PaymentScene("begun, cancelled at once", begun(), 0, NOT_PAID),
    PaymentScene("begun, cancelled when it is paid", begun(), 1, NOT_PAID),
    PaymentScene("begun, never confirmed, cancelled", begun(confirmed=False), 2, NOT_PAID),
    PaymentScene("begun, taken at once", begun(capture_method="automatic"), None, PAID),
    PaymentScene("begun, taken at once, cancelled", begun(capture_method="automatic"), 1, NOT_PAID),
    PaymentScene("begun, another amount", begun(amount=100), None, NOT_PAID),
    PaymentScene("captured later", saved("good"), None, CAPTURED, later=True),
    PaymentScene("captured later, cancelled when the intent is made", saved("good"), 1, NOT_PAID, later=True),
    PaymentScene("captured later, cancelled when it is held", saved("good"), 2, NOT_PAID, later=True),
    PaymentScene("captured later, declined", saved("declined"), None, NOT_PAID, later=True),
    PaymentScene("begun, captured later", begun(), None, CAPTURED, later=True),
    PaymentScene("begun, captured later, cancelled when it is held", begun(), 1, NOT_PAID, later=True),
    PaymentScene(
        "begun, taken at once, captured later", begun(capture_method="automatic"), None, CAPTURED, later=True
    ),
)


class OnePayment:
    """The payment of order o1."""

    def __init__(self, scene: PaymentScene, of: Order, proxy: StripeProxy, provider: Stripe) -> None:
        self.scene = scene
        self.story = Story(PAYMENT)
        self.calls: list[Call] = []
        self._order = of.model_copy(update={"route": CAPTURED_LATER}) if scene.later else of
        self._proxy = proxy
        self._provider = provider

    @property
    def row(self) -> JournalRow:
        row = self.story.rows.journal("o1")
        assert row is not None
        return row

    async def run(self) -> None:
        """Until there is a fact, and the order has turned round if it does."""
        self._says(pay(self._order))
        for count in range(MOST_ASKS):
            if count == self.scene.undo_after:
                self._says(refund(self._order))
            elif self.scene.later and self.row.state is State.DONE and self.scene.undo_after is None:
                self._says(capture(self._order))
            if self.row.state not in ASKED_STATES:
                if self.scene.undo_after is None or self.scene.undo_after <= count:
                    return
                continue
            await self.ask()
            await self.check()
        raise AssertionError(f"after {MOST_ASKS} asks it is {self.row}")

    async def ask(self) -> None:
        """One call, as the dispatcher makes it."""
        call = calls.call("saga", PAYMENT.step.name, self.row, BEGINNING + self.story.offset * SECOND)  # type: ignore[attr-defined]
        self.calls.append(call)
        self._says(calls.answered(call, await self.answer(call), self.row.version))

    async def answer(self, call: Call) -> Answer:
        try:
            return await getattr(self._provider, call.action)(call)  # type: ignore[no-any-return]
        except Exception as error:
            return Answer(Outcome.UNKNOWN, code=type(error).__name__)

    async def check(self) -> int:
        """The minor units that Stripe has of this order; never twice, and never more than its amount."""
        found = (await self._proxy.ask("GET", "/v1/payment_intents", limit=100))["data"]
        taken = [each for each in found if each["status"] == "succeeded"]
        held = [each for each in found if each["status"] == "requires_capture"]
        assert len(taken) + len(held) <= 1, f"charged {len(taken) + len(held)} times: {self._trace()}"
        if self.scene.later and taken and taken[0]["capture_method"] == "manual":
            is_asked = self.row.state in (State.CAPTURING, State.CAPTURED)
            assert is_asked, f"captured before it was shipped: {self._trace()}"
        return sum(each["amount"] - each["latest_charge"]["amount_refunded"] for each in taken)

    async def ends_well(self) -> None:
        """The row says what Stripe has; and stays so, whatever was still under way."""
        state = self.row.state
        assert state in self.scene.ends, f"{state}: {self._trace()}"
        assert self.row.conflict is None
        for _ in range(2):
            left = await self.check()
            assert left == (4000 if state in STANDING_STATES else 0), (
                f"{state}, and Stripe has {left}: {self._trace()}"
            )
            await self._proxy.arrive()
            for stale in self.calls:
                await self.answer(stale)
        if state in STANDING_STATES:
            intent = await self._proxy.ask("GET", f"/v1/payment_intents/{self.row.outside.reference}")  # type: ignore[union-attr]
            assert intent["status"] == "succeeded"

    def _says(self, record: Record) -> None:
        self.story.when(record)
        assert self.story.rejection is None, self.story.rejection

    def _trace(self) -> str:
        return "\n".join(f"{each.number} {each.method} {each.path}" for each in self._proxy.requests)
