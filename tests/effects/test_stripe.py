"""The Stripe provider: amounts, payments of other orders, events, the ledger, and errors that are our own."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from saga_app.core.outside import Action
from saga_app.core.records import Outcome, Reason, StepName
from saga_app.effects.configured import ProviderOptions
from saga_app.effects.ports import Answer, Call, Effect, NoAnswer
from saga_app.effects.providers.stripe import Stripe, provider
from saga_app.effects.providers.stripe_intent import major_units, minor_units
from saga_app.local.stripe.proxy import AUTHORISED_FOR, StripeProxy
from saga_app.settings import SettingsError
from tests.effects.http_service import HttpService
from tests.effects.one_payment import begun, saved
from tests.effects.test_http import status
from tests.support.examples import CAPTURED_LATER, order

SECRET = "whsec_of_this_test"
METHOD = order(customer_id="c1", payment_method="stripe:pm_card_visa")


def call(of: Any = METHOD, reference: str | None = None, action: Action = Action.DO) -> Call:
    return Call(action, "saga:payment:o1:17", StepName.PAYMENT, of, "0:1", reference, 0, 0)


def at_stripe(address: str, act: Callable[[StripeProxy, Stripe], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with StripeProxy(address).running() as proxy:
            await proxy.flush()
            stripe = Stripe("sk_test_local", proxy.address, 5.0, SECRET)
            try:
                return await act(proxy, stripe)
            finally:
                await stripe.close()

    return asyncio.run(run())


def asked(*replies: Any, call: Call = call(reference="pi_1"), verb: str = "do") -> Answer:  # noqa: B008
    """The provider's answer to these replies."""

    async def run() -> Answer:
        async with HttpService(*replies).running() as service:
            stripe = Stripe("sk_test_local", service.address, 0.5)
            try:
                return await getattr(stripe, verb)(call)  # type: ignore[no-any-return]
            finally:
                await stripe.close()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("40.00", "GBP", 4000),
        ("500", "JPY", 500),
        ("500", "ISK", 50_000),
        ("7", "UGX", 700),
        ("1.234", "KWD", 1234),
    ],
)
def test_amounts_are_in_the_unit_that_stripe_wants(amount: str, currency: str, minor: int):
    assert minor_units(Decimal(amount), currency) == minor
    assert str(major_units(minor, currency.lower())) == amount


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"amount": 100}, "amount_mismatch"),
        ({"currency": "eur"}, "currency_mismatch"),
        ({"metadata[saga_order]": "o2"}, "not_for_this_order"),
        ({"metadata[saga_effect]": "saga:payment:o1:3"}, "not_for_this_order"),
    ],
)
def test_a_payment_of_another_order_is_refused_and_never_touched(
    localstripe: str, fields: dict[str, Any], code: str
):
    """One payment would pay for two orders, and one order could give back the money of another."""

    async def act(proxy: StripeProxy, stripe: Stripe) -> None:
        for method in ("manual", "automatic"):
            of = await begun(**fields, capture_method=method)(proxy)
            name = (of.payment_reference or "").partition(":")[2]
            before = await proxy.ask("GET", f"/v1/payment_intents/{name}")
            is_taken = method == "automatic" and code != "not_for_this_order"
            for verb in (stripe.do, stripe.prevent, stripe.undo):
                unknown, refused = Answer(Outcome.UNKNOWN, name, code), (Outcome.REFUSED, name, code)
                is_unknown = is_taken or verb == stripe.undo
                assert await verb(call(of, name)) == (
                    unknown if is_unknown else Answer(*refused, Reason.DECLINED)
                )
            assert await proxy.ask("GET", f"/v1/payment_intents/{name}") == before
        assert {each.method for each in proxy.requests} == {"GET"}

    at_stripe(localstripe, act)


def test_a_payment_that_there_is_not_is_refused(localstripe: str):
    """A front end that names a wrong one must not keep its order in doubt for ever."""
    of = order(payment_reference="stripe:pi_none")

    async def act(_: StripeProxy, stripe: Stripe) -> set[str | None]:
        answers = [await verb(call(of, "pi_none")) for verb in (stripe.do, stripe.prevent)]
        assert {each.outcome for each in answers} == {Outcome.REFUSED}
        taken = await stripe.undo(call(of, "pi_none"))
        assert taken.outcome is Outcome.UNKNOWN, "what was captured cannot be missing"
        return {each.code for each in (*answers, taken)}

    assert at_stripe(localstripe, act) == {"resource_missing"}


def test_money_that_was_taken_for_this_order_with_another_amount_is_in_doubt_until_it_is_given_back(
    localstripe: str, caplog: pytest.LogCaptureFixture
):
    async def act(proxy: StripeProxy, stripe: Stripe) -> list[Outcome]:
        of = await begun(amount=100, capture_method="automatic")(proxy)
        name = (of.payment_reference or "").partition(":")[2]
        before = await stripe.do(call(of, name))
        await proxy.ask("POST", "/v1/refunds", payment_intent=name)
        return [before.outcome, (await stripe.do(call(of, name))).outcome]

    assert at_stripe(localstripe, act) == [Outcome.UNKNOWN, Outcome.UNDONE]
    assert "amount_mismatch" in caplog.text


@pytest.mark.parametrize(("status", "outcome"), [("pending", Outcome.PENDING), ("succeeded", Outcome.UNDONE)])
@pytest.mark.parametrize("verb", ["do", "prevent"])
def test_a_refund_that_is_on_its_way_takes_nothing_back_yet(status: str, outcome: Outcome, verb: str):
    intent = {
        "id": "pi_1",
        "object": "payment_intent",
        "status": "succeeded",
        "amount": 4000,
        "currency": "gbp",
        "latest_charge": {"id": "ch_1", "object": "charge", "amount_refunded": 4000},
    }
    refund = {"id": "re_1", "object": "refund", "amount": 4000, "status": status}
    replies = [json.dumps(each) for each in (intent, {"object": "list", "data": [refund]})]
    assert asked(*replies, verb=verb).outcome is outcome


@pytest.mark.parametrize("verb", ["do", "prevent", "undo", "capture"])
def test_a_step_that_is_no_payment_is_unknown_and_stripe_is_not_asked(
    verb: str, caplog: pytest.LogCaptureFixture
):
    answer = asked("cut", call=call(reference="pi_1")._replace(step=StepName.SHIPPING), verb=verb)
    assert (answer.outcome, answer.code) == (Outcome.UNKNOWN, "wrong_step")
    assert "shipping" in caplog.text


@pytest.mark.parametrize(
    ("of", "code"),
    [
        (order(payment_method="stripe:pm_none"), "resource_missing"),
        (order(amount="0.29", payment_method="stripe:pm_card_visa"), "amount_too_small"),
    ],
)
def test_a_payment_that_will_never_be_possible_is_refused(localstripe: str, of: Any, code: str):
    answer = at_stripe(localstripe, lambda _, stripe: stripe.do(call(of)))
    assert answer == Answer(Outcome.REFUSED, code=code, reason=Reason.DECLINED)


def test_without_a_name_in_the_row_there_is_nothing_to_prevent(localstripe: str):
    async def act(proxy: StripeProxy, stripe: Stripe) -> None:
        assert (await stripe.prevent(call())).outcome is Outcome.REFUSED
        assert proxy.requests == []

    at_stripe(localstripe, act)


@pytest.mark.parametrize(("code", "after"), [(409, 7), (429, 999_999_999), (500, 7), (503, 7)])
def test_what_is_not_now_is_no_answer(code: int, after: int):
    with pytest.raises(NoAnswer, match=f"http_{code}") as found:
        asked(status(code, '{"error":{"type":"api_error"}}', **{"Retry-After": str(after)}))
    assert found.value.wait == min(after, 600)


@pytest.mark.parametrize("reply", ["cut", "gone", "never"])
def test_an_answer_that_does_not_come_whole_is_no_answer(reply: str):
    with pytest.raises(NoAnswer):
        asked(reply)


@pytest.mark.parametrize(
    ("code", "name"), [(400, "parameter_invalid"), (401, ""), (403, ""), (404, "resource_missing")]
)
def test_an_error_that_is_our_own_is_unknown_and_people_are_called(
    code: int, name: str, caplog: pytest.LogCaptureFixture
):
    answer = asked(
        status(code, json.dumps({"error": {"type": "invalid_request_error", "code": name or None}}))
    )
    assert answer.outcome is Outcome.UNKNOWN and answer.code
    assert "secret key" in caplog.text and "sk_test_local" not in caplog.text


def signed(event: dict[str, Any], secret: str = SECRET) -> tuple[bytes, dict[str, str]]:
    body, now = json.dumps(event).encode(), int(time.time())
    signature = hmac.new(secret.encode(), b"%d.%s" % (now, body), hashlib.sha256).hexdigest()
    return body, {"Stripe-Signature": f"t={now},v1={signature}"}


def about(name: str, kind: str = "payment_intent") -> dict[str, Any]:
    thing = (
        {"id": name, "object": kind} if kind == "payment_intent" else {"object": kind, "payment_intent": name}
    )
    return {"id": "evt_1", "object": "event", "type": f"{kind}.updated", "data": {"object": thing}}


def test_an_event_tells_what_is_true_now_and_not_what_it_says(localstripe: str):
    async def act(proxy: StripeProxy, stripe: Stripe) -> None:
        of = await saved("good")(proxy)
        name = (await stripe.do(call(of))).reference or ""
        assert await stripe.event(*signed(about(name))) is None, "it is pending"
        await stripe.do(call(of, name))
        told = await stripe.event(*signed(about(name)))
        assert told is not None
        assert (told.outcome, told.reference, told.order_id, told.segment) == (
            Outcome.DONE,
            name,
            "o1",
            "0:1",
        )
        assert (told.step, told.key) == (StepName.PAYMENT, "o1")
        await stripe.undo(call(of, name))
        for kind in ("payment_intent", "charge", "refund"):
            told = await stripe.event(*signed(about(name, kind)))
            assert told is not None and told.outcome is Outcome.UNDONE

    at_stripe(localstripe, act)


def test_an_event_about_a_payment_that_the_saga_has_no_part_in_tells_nothing(localstripe: str):
    """The front end names the order; whether the amount is right, only a call knows."""

    async def act(proxy: StripeProxy, stripe: Stripe) -> None:
        of = await begun(amount=100, capture_method="automatic")(proxy)
        name = (of.payment_reference or "").partition(":")[2]
        assert await stripe.event(*signed(about(name))) is None
        assert await stripe.event(*signed({**about(name), "data": {"object": {"object": "payout"}}})) is None

    at_stripe(localstripe, act)


@pytest.mark.parametrize(
    "headers", [{}, {"Stripe-Signature": "t=1,v1=00"}, signed(about("pi_1"), "whsec_other")[1]]
)
def test_an_event_that_stripe_did_not_sign_is_refused(localstripe: str, headers: dict[str, str]):
    with pytest.raises(ValueError, match="no event that Stripe signed"):
        at_stripe(localstripe, lambda _, stripe: stripe.event(signed(about("pi_1"))[0], headers))


def test_two_apps_with_one_account_hear_and_list_only_their_own_payments(localstripe: str):
    async def act(proxy: StripeProxy, _: Stripe) -> None:
        mine, other = (
            Stripe("sk_test_local", proxy.address, 5.0, SECRET, app_id=each) for each in ("saga", "sag")
        )
        of = await saved("good")(proxy)
        name = (await mine.do(call(of))).reference or ""
        await mine.do(call(of, name))
        of_nobody = (await begun(confirmed=False)(proxy)).payment_reference
        assert await mine.event(*signed(about(name))) is not None
        assert await other.event(*signed(about(name))) is None
        since = datetime(2020, 1, 1, tzinfo=UTC)
        found = [{f"stripe:{each.reference}" for each in await entries(app, since)} for app in (mine, other)]
        assert found == [{f"stripe:{name}", of_nobody}, {of_nobody}]
        for app in (mine, other):
            await app.close()

    at_stripe(localstripe, act)


async def authorised(proxy: StripeProxy, stripe: Stripe) -> str:
    """The name of a payment that is held for an order which is captured later."""
    of = await saved("good")(proxy)
    name = (await stripe.do(later(of))).reference or ""
    answer = await stripe.do(later(of, name))
    assert (answer.outcome, answer.code) == (Outcome.DONE, "authorised")
    return name


def later(of: Any = METHOD, reference: str | None = None) -> Call:
    return call(of.model_copy(update={"route": CAPTURED_LATER}), reference)


def test_an_authorisation_says_when_it_runs_out(localstripe: str):
    async def act(proxy: StripeProxy, stripe: Stripe) -> int | None:
        name = await authorised(proxy, stripe)
        return (await stripe.do(later(reference=name))).capture_before

    before = at_stripe(localstripe, act)
    assert before is not None and 0 < before - time.time() <= AUTHORISED_FOR


def test_an_authorisation_is_captured_once_and_whole(localstripe: str):
    async def act(proxy: StripeProxy, stripe: Stripe) -> None:
        name = await authorised(proxy, stripe)
        answers = [await stripe.capture(later(reference=name)._replace(tries=each)) for each in range(3)]
        assert {each.outcome for each in answers} == {Outcome.CAPTURED}
        assert (await stripe.do(later(reference=name))).outcome is Outcome.CAPTURED
        captures = [each for each in proxy.requests if each.path.endswith("/capture")]
        assert len(captures) == 1 and "amount_to_capture" not in captures[0].form
        (entry,) = await entries(stripe, datetime(2020, 1, 1, tzinfo=UTC))
        assert (entry.outcome, entry.amount, entry.segment) == (Outcome.CAPTURED, Decimal("40.00"), "0:1")

    at_stripe(localstripe, act)


def test_an_authorisation_that_is_let_go_was_there(localstripe: str):
    """Its order is told cancelled only if the money is not held any more; whoever asks or hears is told the same."""

    async def act(proxy: StripeProxy, stripe: Stripe) -> None:
        name = await authorised(proxy, stripe)
        for verb in (stripe.undo, stripe.prevent, stripe.do, stripe.capture):
            assert (await verb(later(reference=name))).outcome is Outcome.UNDONE
        told = await stripe.event(*signed(about(name)))
        assert told is not None and told.outcome is Outcome.UNDONE
        (entry,) = await entries(stripe, datetime(2020, 1, 1, tzinfo=UTC))
        assert entry.outcome is Outcome.UNDONE
        assert not [each for each in proxy.requests if each.path.endswith(("/capture", "/refunds"))]

    at_stripe(localstripe, act)


def test_an_event_about_an_authorisation_says_that_it_is_there_and_until_when(localstripe: str):
    async def act(proxy: StripeProxy, stripe: Stripe) -> None:
        name = await authorised(proxy, stripe)
        told = await stripe.event(*signed(about(name)))
        assert told is not None and told.outcome is Outcome.DONE and told.capture_before
        (entry,) = await entries(stripe, datetime(2020, 1, 1, tzinfo=UTC))
        assert (entry.outcome, entry.code) == (Outcome.DONE, "authorised")

    at_stripe(localstripe, act)


def test_a_payment_that_was_captured_in_part_is_for_people(
    localstripe: str, caplog: pytest.LogCaptureFixture
):
    async def act(proxy: StripeProxy, stripe: Stripe) -> None:
        name = await authorised(proxy, stripe)
        await proxy.ask("POST", f"/v1/payment_intents/{name}/capture", amount_to_capture=1500)
        answer = await stripe.capture(later(reference=name))
        assert (answer.outcome, answer.code) == (Outcome.UNKNOWN, "captured_in_part")
        assert await stripe.event(*signed(about(name))) is None
        (entry,) = await entries(stripe, datetime(2020, 1, 1, tzinfo=UTC))
        assert (entry.outcome, entry.amount) == (Outcome.CAPTURED, Decimal("15.00"))

    at_stripe(localstripe, act)
    assert "captured_in_part" in caplog.text


def test_a_payment_that_was_taken_at_once_pays_for_one_effect(localstripe: str):
    """Its order is purged, and another one has its id: the money of the first does not pay for the second."""

    async def act(proxy: StripeProxy, stripe: Stripe) -> None:
        of = await begun(capture_method="automatic")(proxy)
        name = (of.payment_reference or "").partition(":")[2]
        (before,) = await entries(stripe, datetime(2020, 1, 1, tzinfo=UTC))
        assert (before.outcome, before.effect, before.segment) == (Outcome.DONE, None, None)
        assert (await stripe.do(call(of, name))).outcome is Outcome.DONE
        (after,) = await entries(stripe, datetime(2020, 1, 1, tzinfo=UTC))
        assert (after.effect, after.segment) == ("saga:payment:o1:17", "0:1")
        again = call(of, name)._replace(effect="saga:payment:o1:99", segment="0:9")
        assert (await stripe.do(again)).code == "not_for_this_order"

    at_stripe(localstripe, act)


async def entries(stripe: Stripe, since: datetime) -> list[Effect]:
    return [each async for each in stripe.ledger(since)]


def test_the_ledger_has_every_intent_of_an_order_page_by_page(localstripe: str):
    async def act(proxy: StripeProxy, stripe: Stripe) -> list[Effect]:
        for number in range(103):
            names = {"metadata[saga_order]": f"o{number}"} if number else {}
            await proxy.ask("POST", "/v1/payment_intents", amount=4000 + number, currency="gbp", **names)
        now = datetime.now(UTC)
        assert await entries(stripe, now + timedelta(hours=1)) == []
        return await entries(stripe, now - timedelta(hours=1))

    found = at_stripe(localstripe, act)
    assert {(each.order_id, each.amount, each.currency, each.outcome) for each in found} == {
        (f"o{number}", Decimal(4000 + number) / 100, "GBP", Outcome.PENDING) for number in range(1, 103)
    }


def test_tidying_cancels_what_takes_nothing_and_leaves_money_alone(localstripe: str):
    async def act(proxy: StripeProxy, stripe: Stripe) -> None:
        of = await saved("good")(proxy)
        paid, orphan = [(await stripe.do(call(of)._replace(tries=each))).reference or "" for each in (0, 1)]
        await stripe.do(call(of, paid))
        assert [await stripe.cancel(each) for each in (paid, orphan)] == [False, True]
        assert {
            each.reference: each.outcome for each in await entries(stripe, datetime(2020, 1, 1, tzinfo=UTC))
        } == {
            paid: Outcome.DONE,
            orphan: Outcome.REFUSED,
        }

    at_stripe(localstripe, act)


KEY, ADDRESS = "SAGA_PROVIDER_STRIPE_KEY", "SAGA_PROVIDER_STRIPE_ADDRESS"


@pytest.mark.parametrize(
    "environment", [{}, {KEY: "pk_live_1"}, {KEY: "sk_test_1", ADDRESS: "https://api.example.org"}]
)
def test_settings_that_cannot_be_used_are_named(environment: dict[str, str]):
    with pytest.raises(SettingsError, match="SAGA_PROVIDER_STRIPE") as found:
        provider(ProviderOptions("stripe", "saga", 20.0, environment))
    assert "pk_live_1" not in str(found.value) and "sk_test_1" not in str(found.value)


def test_the_secret_key_may_be_in_a_file(tmp_path: Path):
    (tmp_path / "key").write_text("rk_test_1\n")
    provider(ProviderOptions("stripe", "saga", 20.0, {KEY + "_FILE": f"{tmp_path}/key"}))
