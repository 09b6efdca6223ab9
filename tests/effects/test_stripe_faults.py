"""Every fault at every request to Stripe: never charged twice, and what is told is what Stripe has."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import pytest

from saga_app.core.records import Outcome
from saga_app.effects.ports import Answer, Call, NoAnswer
from saga_app.effects.providers import stripe_intent as intents
from saga_app.effects.providers.stripe import Stripe
from saga_app.effects.providers.stripe_intent import Intent
from saga_app.local.stripe.proxy import Request, StripeFault, StripeProxy
from tests.effects.one_payment import SCENES, OnePayment, PaymentScene

#: When a request that was given up arrives: so many requests later, or when everything is over.
ARRIVES: Final = (0, 1, 2, 4, None)
FAULTS: Final = [
    *((StripeFault.LATE, after) for after in ARRIVES),
    *((fault, None) for fault in StripeFault if fault is not StripeFault.LATE),
]
#: The faults of which each once broke a design.
HARD: Final = [
    (StripeFault.LATE, 2),
    (StripeFault.LATE, None),
    (StripeFault.NO_ANSWER, None),
    (StripeFault.ERROR_AFTER, None),
    (StripeFault.FORGOTTEN, None),
]
#: Without a request, nothing can fail.
ASKED: Final = [scene for scene in SCENES if scene.name != "saved, cancelled at once"]


def by_name(name: str) -> PaymentScene:
    return next(scene for scene in SCENES if scene.name == name)


def at_stripe(address: str, act: Callable[[StripeProxy, Stripe], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with StripeProxy(address).running() as proxy:
            provider = Stripe("sk_test_local", proxy.address, 5.0)
            try:
                return await act(proxy, provider)
            finally:
                await provider.close()

    return asyncio.run(run())


async def paid(
    scene: PaymentScene,
    proxy: StripeProxy,
    provider: Stripe,
    plan: Callable[[Request], StripeFault | None] = lambda request: None,
    arrives_after: int | None = None,
) -> OnePayment:
    """The scene from its beginning to its end."""
    await proxy.flush()
    of = await scene.begin(proxy)
    proxy.plan, proxy.arrives_after = plan, arrives_after
    payment = OnePayment(scene, of, proxy, provider)
    await payment.run()
    return payment


async def explore(
    scene: PaymentScene,
    proxy: StripeProxy,
    provider: Stripe,
    wanted: Sequence[tuple[StripeFault, int | None]],
    method: str = "",
) -> int:
    """Each fault at each request, also at those that only a fault brings; how many runs that are."""
    without = await paid(scene, proxy, provider)
    numbers = [request.number for request in proxy.requests if method in ("", request.method)]
    await without.ends_well()
    more = [] if method else [len(numbers), len(numbers) + 1]
    runs = 0
    for number in [*numbers, *more]:
        for fault, after in wanted:
            hit: list[Request] = []

            def plan(
                request: Request, number: int = number, fault: StripeFault = fault, hit: list[Request] = hit
            ) -> StripeFault | None:
                if request.number != number:
                    return None
                hit.append(request)
                return fault

            try:
                await (await paid(scene, proxy, provider, plan, after)).ends_well()
            except AssertionError as error:
                raise AssertionError(f"{scene.name}: {fault} ({after}) at {hit}: {error}") from error
            runs += bool(hit)
    return runs


@pytest.mark.parametrize("scene", SCENES, ids=[scene.name for scene in SCENES])
def test_without_a_fault_the_payment_ends_as_it_should(localstripe: str, scene: PaymentScene):
    async def act(proxy: StripeProxy, provider: Stripe) -> None:
        await (await paid(scene, proxy, provider)).ends_well()

    at_stripe(localstripe, act)


def test_faults_at_the_requests_that_change_something_end_well(localstripe: str):
    async def act(proxy: StripeProxy, provider: Stripe) -> int:
        return await explore(
            by_name("saved, cancelled when it is paid"), proxy, provider, HARD, method="POST"
        )

    assert at_stripe(localstripe, act) == 3 * len(HARD)


@pytest.mark.slow("some 100 runs of a payment")
@pytest.mark.parametrize("scene", ASKED, ids=[scene.name for scene in ASKED])
def test_every_fault_at_every_request_ends_well(localstripe: str, scene: PaymentScene):
    runs = at_stripe(localstripe, lambda proxy, provider: explore(scene, proxy, provider, FAULTS))
    print(f"{scene.name}: {runs} runs")
    assert runs >= len(FAULTS)


class ConfirmsWhatTheRowDoesNotName(Stripe):
    """Creates and confirms in one call, and relies on the key."""

    async def _create(self, call: Call) -> Answer:
        made = await super()._create(call._replace(tries=0))
        return await self._confirm(call._replace(reference=made.reference)) if made.reference else made


class OnlyLooks(Stripe):
    """`prevent` concludes that there is nothing from what it sees."""

    async def _seal(self, call: Call, intent: Intent) -> Answer:
        answer = intents.fact(await self._retrieve(intent["id"]))
        return answer._replace(outcome=Outcome.REFUSED) if answer.outcome is Outcome.PENDING else answer


class TakesSilenceForNo(Stripe):
    """A payment that brings an error was refused."""

    async def do(self, call: Call) -> Answer:
        try:
            return await super().do(call)
        except NoAnswer:
            return Answer(Outcome.REFUSED, call.reference)


@pytest.mark.parametrize(
    ("defect", "name", "fault", "how"),
    [
        (ConfirmsWhatTheRowDoesNotName, "saved", (StripeFault.FORGOTTEN, None), "charged 2 times"),
        (ConfirmsWhatTheRowDoesNotName, "saved", (StripeFault.ERROR_AFTER, None), "after 12 asks"),
        (OnlyLooks, "saved, cancelled when it is paid", (StripeFault.LATE, None), "Stripe has 4000"),
        (TakesSilenceForNo, "saved", (StripeFault.NO_ANSWER, None), "REFUSED"),
    ],
)
def test_a_provider_with_a_defect_is_caught(
    localstripe: str, defect: type[Stripe], name: str, fault: tuple[StripeFault, int | None], how: str
):
    async def act(proxy: StripeProxy, _: Stripe) -> None:
        provider = defect("sk_test_local", proxy.address, 5.0)
        try:
            await explore(by_name(name), proxy, provider, [fault], method="POST")
        finally:
            await provider.close()

    with pytest.raises(AssertionError, match=how):
        at_stripe(localstripe, act)
