"""`saga try --provider` places orders at a provider in test mode only, and knows how each must end."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from saga_app.commands import provider_trial
from saga_app.commands.endings import FinalStatus
from saga_app.commands.render.output import CommandFailed
from saga_app.core.records import Outcome, Reason
from saga_app.core.rows import Status
from saga_app.effects.ports import KeyRefused, ProviderMode, TrialPayment
from saga_app.effects.providers.stripe import Stripe
from saga_app.effects.reports import ProviderFinding
from saga_app.local.stripe.proxy import StripeProxy

DONE = TrialPayment("t-saved", "a saved card", {"payment_method": "p:m"}, frozenset({Outcome.DONE}))
DECLINED = TrialPayment("t-declined", "declined", {"payment_method": "p:m"}, frozenset({Outcome.REFUSED}))


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (ProviderFinding("p", True, "", ProviderMode.LIVE), "provider p is in LIVE mode"),
        (ProviderFinding("p", True, "", None), "provider p is not known to be in test mode"),
        (ProviderFinding("p", False, "it does not answer", ProviderMode.TEST), "it does not answer"),
    ],
)
def test_where_money_may_be_real_nothing_is_placed(found: ProviderFinding, why: str) -> None:
    with pytest.raises(CommandFailed, match=why):
        provider_trial.must_be_test(found)


def test_stripe_has_a_payment_of_each_way_and_none_for_a_live_key(localstripe: str) -> None:
    async def run() -> Any:
        async with StripeProxy(localstripe).running() as proxy:
            live = Stripe("sk_live_1", proxy.address, 5.0)
            with pytest.raises(KeyRefused):
                await live.trial_payments("stripe", "t", Decimal("1.00"), "GBP", "AQ")
            assert not proxy.requests
            test = Stripe("sk_test_local", proxy.address, 5.0)
            found = await test.trial_payments("stripe", "t", Decimal("1.00"), "GBP", "AQ")
            await live.close()
            await test.close()
            return found

    found: list[TrialPayment] = asyncio.run(run())
    assert [each.order_id for each in found] == ["t-saved", "t-begun", "t-declined", "t-back"]
    assert [each.completes for each in found] == [True, True, False, False]
    assert found[1].fields["payment_reference"].startswith("stripe:pi_")


@pytest.mark.parametrize(
    ("payment", "end", "outcome", "code"),
    [
        (DONE, FinalStatus(Status.COMPLETED), Outcome.DONE, 0),
        (DONE, FinalStatus(Status.COMPLETED), Outcome.REFUSED, 1),
        (DONE, FinalStatus(Status.CANCELLED, Reason.DECLINED), Outcome.REFUSED, 1),
        (DECLINED, FinalStatus(Status.CANCELLED, Reason.DECLINED), Outcome.REFUSED, 0),
        (DECLINED, FinalStatus(Status.CANCELLED, Reason.DECLINED), Outcome.DONE, 1),
        (DONE, None, None, 4),
    ],
)
def test_an_order_is_right_if_its_end_and_the_provider_agree(
    payment: TrialPayment, end: FinalStatus | None, outcome: Outcome | None, code: int
) -> None:
    assert provider_trial.code_of([payment], {payment.order_id: end}, {payment.order_id: outcome}) == code
