"""Every fault at every request to Stripe: never charged twice, and what is told is what Stripe has."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest

from saga_app.effects.providers.stripe import Stripe
from tests.effects.one_payment import SCENES, Payment, Scene
from tests.support.stripe_proxy import Fault, Request, StripeProxy

#: When a request that was given up arrives: so many requests later, or when everything is over.
ARRIVES: Final = (0, 1, 2, 4, None)
QUICK: Final = [scene for scene in SCENES if scene.name in ("saved", "begun, cancelled when it is paid")]


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
    scene: Scene,
    proxy: StripeProxy,
    provider: Stripe,
    plan: Callable[[Request], Fault | None] = lambda request: None,
    arrives_after: int | None = None,
) -> Payment:
    """The scene from its beginning to its end."""
    await proxy.flush()
    of = await scene.begin(proxy)
    proxy.plan, proxy.arrives_after = plan, arrives_after
    payment = Payment(scene, of, proxy, provider)
    await payment.run()
    return payment


def faults() -> list[tuple[Fault, int | None]]:
    late = [(Fault.LATE, after) for after in ARRIVES]
    return [*late, *((fault, None) for fault in Fault if fault is not Fault.LATE)]


async def explore(scene: Scene, proxy: StripeProxy, provider: Stripe, wanted: str = "") -> int:
    """Each fault at each request, those with more requests than without a fault too; how many runs that are."""
    await (await paid(scene, proxy, provider)).ends_well()
    most, runs = len(proxy.requests), 0
    for number in range(most + 2):
        for fault, after in faults():
            hit: list[Request] = []

            def plan(
                request: Request, number: int = number, fault: Fault = fault, hit: list[Request] = hit
            ) -> Fault | None:
                if request.number != number or request.method not in (wanted or request.method):
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
def test_without_a_fault_the_payment_ends_as_it_should(localstripe: str, scene: Scene):
    async def act(proxy: StripeProxy, provider: Stripe) -> None:
        await (await paid(scene, proxy, provider)).ends_well()

    at_stripe(localstripe, act)


@pytest.mark.parametrize("scene", QUICK, ids=[scene.name for scene in QUICK])
def test_every_fault_at_a_request_that_changes_something_ends_well(localstripe: str, scene: Scene):
    async def act(proxy: StripeProxy, provider: Stripe) -> int:
        return await explore(scene, proxy, provider, wanted="POST")

    assert at_stripe(localstripe, act) >= 26


@pytest.mark.slow("some 100 runs of a payment")
@pytest.mark.parametrize("scene", SCENES, ids=[scene.name for scene in SCENES])
def test_every_fault_at_every_request_ends_well(localstripe: str, scene: Scene):
    assert at_stripe(localstripe, lambda proxy, provider: explore(scene, proxy, provider)) >= 13
