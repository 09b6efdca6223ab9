"""Payments at a faulty Stripe, shipments at a carrier over HTTP that is killed: their ledgers are what journals say."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness.orders import Sent, supplies
from harness.scene import Scene
from saga_app import topics
from saga_app.core.records import Outcome
from saga_app.effects.ports import Effect, Provider
from saga_app.effects.providers.http import HttpProvider
from saga_app.effects.providers.stripe import Stripe
from saga_app.local.stripe.proxy import PASSING, Request, StripeFault, StripeInThread, StripeProxy
from saga_app.local.stripe.server import local_stripe
from tests.live.commands import saga
from tests.support.carrier import CarrierProcess
from tests.support.examples import CAPTURED_LATER

CARDS = {"fine": "4242424242424242", "declined": "4000000000000341"}
#: Orders of each kind, and how they end.
KINDS = {
    "fine": "COMPLETED",
    "declined": "declined",
    "abroad": "declined",
    "begun": "COMPLETED",
    "stolen": "declined",
}
#: On an intent, names of an order that there is not.
ADAPTERS = "saga_app.effects.providers"


class FrontEnd:
    """The shop's pages: they save methods, and begin payments that customers confirm."""

    def __init__(self, stripe: StripeInThread) -> None:
        self._stripe = stripe
        self._cards = {name: self._card(number) for name, number in CARDS.items()}

    def _card(self, number: str) -> str:
        card = {"card[number]": number, "card[exp_month]": 12, "card[exp_year]": 2030, "card[cvc]": 123}
        return str(self._stripe.ask("POST", "/v1/payment_methods", type="card", **card)["id"])

    def orders(self, count: int, prefix: str) -> Iterator[Sent]:
        for number in range(count):
            kind = list(KINDS)[number % len(KINDS)]
            order_id = f"{prefix}-{kind}-{number}"
            # The money of `stolen` is of another order.
            of = {"begun": order_id, "stolen": "another"}.get(kind)
            method = self._cards.get(kind, self._cards["fine"])
            payment = {"payment_method": f"stripe:{method}"} if of is None else self._begun(of, method)
            country = "FR" if kind == "abroad" else "GB"
            order = {
                "order_id": order_id,
                "customer_id": f"C{number % 7}",
                "amount": "25.00",
                "country": country,
            }
            yield {**order, **payment}

    def _begun(self, order_id: str, method: str) -> Sent:
        wanted = {"amount": 2500, "currency": "gbp", "capture_method": "manual", "payment_method": method}
        made = self._stripe.ask("POST", "/v1/payment_intents", **wanted, **{"metadata[saga_order]": order_id})
        self._stripe.ask("POST", f"/v1/payment_intents/{made['id']}/confirm")
        return {"payment_reference": f"stripe:{made['id']}"}


def faulty(seed: int) -> Callable[[Request], StripeFault | None]:
    """Every eighth request fails; a call makes five at most."""
    chance = random.Random(seed)
    return lambda request: chance.choice(PASSING) if chance.random() < 0.125 else None


def entries(provider: Provider) -> list[Effect]:
    async def read() -> list[Effect]:
        try:
            return [each async for each in provider.ledger(datetime.now(UTC) - timedelta(hours=1))]
        finally:
            await provider.close()  # type: ignore[attr-defined]

    return asyncio.run(read())


@pytest.mark.slow("a faulty Stripe, a carrier that is killed, and a worker that is killed")
def test_the_ledgers_of_the_providers_are_what_the_journals_say(scene: Scene, tmp_path: Path) -> None:
    with (
        local_stripe(tmp_path) as address,
        StripeInThread(StripeProxy(address, faulty(1), arrives_after=3)) as stripe,
        CarrierProcess(tmp_path) as carrier,
    ):
        front_end = FrontEnd(stripe)
        settings = {
            "SAGA_PROVIDERS": f"stripe={ADAPTERS}.stripe:provider,carrier={ADAPTERS}.http:provider",
            "SAGA_PROVIDER_STRIPE_KEY": "sk_test_local",
            "SAGA_PROVIDER_STRIPE_ADDRESS": stripe.proxy.address,
            "SAGA_PROVIDER_CARRIER_ADDRESS": carrier.address,
            "SAGA_PROVIDER_CARRIER_TOKEN_FILE": str(carrier.token_file),
            "SAGA_PROVIDER_TIMEOUT": "5s",
        }
        worker = scene.worker("w1", **settings).start().ready()
        scene.shop.send(supplies())
        scene.policy(topics.SHIPPING, "countries", countries=["GB", "FR"])
        scene.policy(topics.SHIPPING, "carrier", carrier="carrier")
        scene.feed(front_end.orders(50, "a"), until_ended=10)
        carrier.kill()
        worker.kill()
        assert scene.under_way() > 5, "the kills did not bite"
        worker.start()
        scene.shop.send(front_end.orders(25, "b"))
        carrier.start()
        scene.endings.wait_for(75, 240)
        stripe.wait_for(stripe.proxy.arrive())
        stripe.proxy.plan = lambda request: None
        scene.prove()
        ended = scene.endings.ended
        assert {order: how for order, how in ended.items() if how != KINDS[order.split("-")[1]]} == {}
        completed = {order for order, how in ended.items() if how == "COMPLETED"}
        charges = entries(Stripe("sk_test_local", stripe.proxy.address))
        parcels = entries(HttpProvider("carrier", carrier.address, carrier.token))
        assert Counter(each.order_id for each in charges if each.outcome is Outcome.DONE) == Counter(
            completed
        )
        assert Counter(each.order_id for each in parcels if each.outcome is Outcome.DONE) == Counter(
            completed
        )
        abroad = [each for each in charges if "abroad" in str(each.order_id)]
        assert any(each.outcome is Outcome.UNDONE for each in abroad), "nothing was paid back"
        assert saga(scene, "reconcile", "carrier", **settings) == (0, "", "")
        saga(scene, "reconcile", "stripe", "--tidy", "--yes", **settings)
        assert saga(scene, "reconcile", "stripe", **settings) == (0, "", "")
        audit = ("audit", "--provider", "stripe", "--provider", "carrier")
        told = saga(scene, *audit, **settings)
        assert told.code == 0 and "ledger of stripe 1; ledger of carrier 1" in told.out, told
        ours = {
            "metadata[saga_order]": "nobody",
            "metadata[saga_effect]": f"{scene.app_id}:payment:nobody:17",
        }
        strange = [
            stripe.ask("POST", "/v1/payment_intents", amount=100, currency="gbp", **ours, **more)["id"]
            for more in ({}, {"confirm": "true", "payment_method": "pm_card_visa"})
        ]
        told = saga(scene, *audit, **settings)
        assert told.code == 1 and "BREACH order nobody" in told.out and "I13 one charge" in told.out, told
        found = saga(scene, "reconcile", "stripe", "--json", "--tidy", "--yes", **settings)
        lines = [json.loads(line) for line in found.out.splitlines()]
        assert found.code == 1 and "1 differences" in found.error
        assert {each["reference"]: each["kind"] for each in lines if "kind" in each} == {
            strange[0]: "orphan",
            strange[1]: "unwanted",
        }
        assert [each for each in lines if "cancelled" in each] == [
            {"reference": strange[0], "cancelled": True}
        ]


@pytest.mark.slow("a faulty Stripe, and a worker that is killed")
def test_what_is_authorised_is_captured_once_when_it_is_shipped(scene: Scene, tmp_path: Path) -> None:
    with (
        local_stripe(tmp_path) as address,
        StripeInThread(StripeProxy(address, faulty(2), arrives_after=3)) as stripe,
    ):
        front_end = FrontEnd(stripe)
        settings = {
            "SAGA_PROVIDERS": f"stripe={ADAPTERS}.stripe:provider",
            "SAGA_PROVIDER_STRIPE_KEY": "sk_test_local",
            "SAGA_PROVIDER_STRIPE_ADDRESS": stripe.proxy.address,
            "SAGA_PROVIDER_TIMEOUT": "5s",
        }
        worker = scene.worker("w1", **settings).start().ready()
        scene.shop.send(supplies())
        scene.policy(topics.CHECKOUT, "later", route=list(CAPTURED_LATER))
        scene.feed(front_end.orders(50, "a"), until_ended=10)
        worker.kill()
        assert scene.under_way() > 5, "the kill did not bite"
        worker.start()
        scene.endings.wait_for(50, 240)
        stripe.wait_for(stripe.proxy.arrive())
        stripe.proxy.plan = lambda request: None
        scene.prove()
        ended = scene.endings.ended
        ends = {**KINDS, "abroad": "undeliverable"}
        assert {order: how for order, how in ended.items() if how != ends[order.split("-")[1]]} == {}
        completed = {order for order, how in ended.items() if how == "COMPLETED"}
        charges = entries(Stripe("sk_test_local", stripe.proxy.address))
        assert Counter(each.order_id for each in charges if each.outcome is Outcome.CAPTURED) == Counter(
            completed
        )
        assert not [each for each in charges if each.outcome is Outcome.DONE], "money is held for nobody"
        abroad = [each for each in charges if "abroad" in str(each.order_id)]
        assert any(each.outcome is Outcome.UNDONE for each in abroad), "no authorisation was let go"
        refunds = [
            each for each in stripe.proxy.requests if (each.method, each.path) == ("POST", "/v1/refunds")
        ]
        assert refunds == [], "an undo before the pivot costs the customer nothing"
        saga(scene, "reconcile", "stripe", "--tidy", "--yes", **settings)
        assert saga(scene, "reconcile", "stripe", **settings) == (0, "", "")
        told = saga(scene, "audit", "--provider", "stripe", **settings)
        assert told.code == 0 and f"captured {len(completed)}" in told.out, told
        of_nobody = stripe.ask(
            "POST",
            "/v1/payment_intents",
            amount=100,
            currency="gbp",
            confirm="true",
            payment_method="pm_card_visa",
            **{"metadata[saga_order]": "never-placed"},
        )["id"]
        found = saga(scene, "reconcile", "stripe", "--json", **settings)
        (line,) = map(json.loads, found.out.splitlines())
        assert (line["kind"], line["reference"]) == ("unwanted", of_nobody), "money without an order"
