"""Payments at Stripe, as PaymentIntents.

One rule makes every doubt answerable, after any crash and however much later: **nothing is confirmed or captured that
the row does not name**. So the first call only creates an intent, which takes nothing; its answer brings the name into
the row; and from then on the intent itself says what became of it, and takes the money once at most. What is refused is
cancelled first: no request that is still under way can take the money then.

Idempotency keys are a courtesy here, and no guard: Stripe forgets them after a day, and until then it repeats a saved
error 500. So each try has a key of its own, and what has happened is looked up, never concluded.

A payment that a customer began (`payment_reference`) counts only if the intent names this order in its metadata, in
equal amount and currency, and names no other effect. If not, it is another order's money: it is refused, and not
touched. If it names this order and has taken another amount, people must give it back first.

A payment that is captured later is an intent with manual capture that the saga *holds*: it has our names in its
metadata, and is done when it is authorised. Cancelling it costs the customer nothing. A payment that a customer began
gets our names before it counts, whether it is held or was taken at once: so it pays for one effect, and never for a
later order with the same id.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

import aiohttp
import stripe
from stripe import AIOHTTPClient, StripeClient

from saga_app.core import route
from saga_app.core.records import Outcome, Reason, StepAnswered, StepName
from saga_app.effects.configured import ProviderOptions
from saga_app.effects.limited import WRONG_STEP
from saga_app.effects.ports import (
    Answer,
    Call,
    Effect,
    KeyRefused,
    NoAnswer,
    ProviderMode,
    ProviderReport,
    TrialPayment,
)
from saga_app.effects.providers import stripe_errors as errors
from saga_app.effects.providers import stripe_intent as intents
from saga_app.effects.providers import stripe_trial as trials
from saga_app.effects.providers.stripe_intent import EFFECT, KEY, ORDER, SEGMENT, STEP, Intent
from saga_app.settings import LOOPBACK, SettingsError
from saga_app.times import http_date

if TYPE_CHECKING:
    from stripe.params import PaymentIntentCreateParams

_LOG: Final = logging.getLogger(__name__)
#: Seconds that a payment waits which a customer or a bank must go on with.
WAIT: Final = 2.0


class Stripe:
    """See `ports.Provider`. `time_limit`: seconds for one request, of which a call makes five at most.

    With an `app_id`, effects of other apps in the same account are none of its business: it neither lists them nor
    hears events about them.
    """

    def __init__(
        self,
        api_key: str,
        address: str = "",
        time_limit: float = 20.0,
        webhook_secret: str = "",
        app_id: str = "",
    ) -> None:
        self._webhook_secret = webhook_secret
        self._mode = ProviderMode.TEST if api_key[2:].startswith("_test_") else ProviderMode.LIVE
        self._effects = f"{app_id}:" if app_id else ""
        self._http = AIOHTTPClient(timeout=time_limit)
        # A retry by the SDK would repeat what the dispatcher does, and hide it.
        client = StripeClient(
            api_key,
            base_addresses={"api": address} if address else None,
            max_network_retries=0,
            http_client=self._http,
        )
        self._client = client
        self._intents = client.v1.payment_intents
        self._methods = client.v1.payment_methods
        self._refunds = client.v1.refunds

    async def close(self) -> None:
        await self._http.close_async()  # type: ignore[no-untyped-call]

    async def report(self) -> ProviderReport:
        """Asks for one payment: the key must read them. The key says the mode."""
        try:
            found = await self._intents.list_async({"limit": 1})
        except (stripe.AuthenticationError, stripe.PermissionError) as error:
            raise KeyRefused(f"{error.http_status} {errors.code(error)}") from error
        except (stripe.APIConnectionError, aiohttp.ClientError) as error:
            raise NoAnswer(type(error).__name__) from error
        headers = getattr(found.last_response, "headers", None) or {}
        return ProviderReport(self._mode, http_date(headers.get("Date", "")), bool(self._webhook_secret))

    async def trial_payments(
        self, name: str, prefix: str, amount: Decimal, currency: str, not_served: str
    ) -> list[TrialPayment]:
        """For `saga try --provider`: one payment of each way, in test mode only."""
        if self._mode is not ProviderMode.TEST:
            raise KeyRefused("the key is a live one")
        return await trials.payments(self._client, name, prefix, amount, currency, not_served)

    async def do(self, call: Call) -> Answer:
        return await self._told(call, self._do)

    async def prevent(self, call: Call) -> Answer:
        return await self._told(call, self._prevent)

    async def undo(self, call: Call) -> Answer:
        return await self._told(call, self._undo)

    async def capture(self, call: Call) -> Answer:
        return await self._told(call, self._capture)

    async def event(self, body: bytes, headers: Mapping[str, str]) -> StepAnswered | None:
        """The truth now about the intent of an event; None if it is no fact, or the saga has no part in it.

        An intent that a customer began is none of ours until it has our names: the event has not the order to compare.
        """
        try:
            event = stripe.Webhook.construct_event(
                body, headers.get("Stripe-Signature", ""), self._webhook_secret
            ).to_dict()
        except (stripe.SignatureVerificationError, ValueError) as error:
            raise ValueError(f"this is no event that Stripe signed: {type(error).__name__}") from None
        thing = event["data"]["object"]
        name = thing["id"] if thing["object"] == "payment_intent" else thing.get("payment_intent")
        if not isinstance(name, str):
            return None
        intent = await self._retrieve(name)
        names, answer = intent.get("metadata") or {}, await self._fact(intent)
        is_fact = answer.outcome not in (Outcome.PENDING, Outcome.UNKNOWN)
        if not is_fact or not {ORDER, STEP, KEY, EFFECT} <= names.keys():
            return None
        if not names[EFFECT].startswith(self._effects):
            return None
        return StepAnswered(
            order_id=names[ORDER],
            segment=names.get(SEGMENT) or None,
            step=StepName(names[STEP]),
            key=names[KEY],
            outcome=answer.outcome,
            reference=answer.reference,
            code=answer.code,
            capture_before=answer.capture_before,
        )

    async def ledger(self, since: datetime) -> AsyncIterator[Effect]:
        """The intents with an order in their metadata that were created since then."""
        found = await self._intents.list_async(
            {"created": {"gte": int(since.timestamp())}, "limit": 100, "expand": ["data.latest_charge"]}
        )
        async for each in found.auto_paging_iter():
            intent = each.to_dict()
            names = intent.get("metadata") or {}
            if ORDER not in names or not names.get(EFFECT, self._effects).startswith(self._effects):
                continue
            answer = intents.fact(intent)
            # In part it is there too: the amount says how much.
            outcome = Outcome.CAPTURED if answer.outcome is Outcome.UNKNOWN else answer.outcome
            yield Effect(
                intent["id"],
                outcome,
                datetime.fromtimestamp(intent["created"], UTC),
                names[ORDER],
                names.get(SEGMENT) or None,
                StepName(names.get(STEP, StepName.PAYMENT)),
                names.get(KEY),
                names.get(EFFECT),
                intents.major_units(intents.taken(intent), intent["currency"]),
                intent["currency"].upper(),
                answer.code,
            )

    async def cancel(self, reference: str) -> bool:
        """For `saga reconcile --tidy`: True if this intent takes nothing, and never will."""
        intent = await self._retrieve(reference)
        if intent["status"] in intents.STOPPABLE:
            with suppress(stripe.InvalidRequestError):
                await self._intents.cancel_async(reference)
            intent = await self._retrieve(reference)
        return bool(intent["status"] == "canceled")

    async def _told(self, call: Call, verb: Callable[[Call], Awaitable[Answer]]) -> Answer:
        """The answer, if it is about a payment."""
        if call.step is StepName.PAYMENT:
            return await errors.answered(verb(call))
        _LOG.error(
            "Stripe is asked for %s of order %s, and makes payments only. The order waits for another provider",
            call.step,
            call.order.order_id,
        )
        return Answer(Outcome.UNKNOWN, code=WRONG_STEP)

    async def _do(self, call: Call) -> Answer:
        if call.reference is None:
            return await self._create(call)
        intent, other = await self._own(call)
        if other is not None:
            return other
        begun = call.order.payment_reference is not None
        match intent["status"]:
            case "requires_confirmation" if not begun:
                return await self._confirm(call)
            case "requires_capture" if call.captures_later:
                return await self._fact(await self._named(call, intent))
            case "succeeded" if begun:
                return await self._fact(await self._named(call, intent))
            case "requires_capture":
                with suppress(stripe.InvalidRequestError):
                    await self._intents.capture_async(
                        intent["id"],
                        {"metadata": _names(call)},
                        options=_options(call, f"capture:{call.tries}"),
                    )
                return await self._fact(await self._retrieve(intent["id"]))
            case "requires_payment_method" | "requires_action" if not begun:
                # Declined, or the customer would have to come back, and is not there.
                return _declined(await self._seal(call, intent), intents.why(intent))
        return await self._fact(intent)

    async def _prevent(self, call: Call) -> Answer:
        if call.reference is None:
            # Nothing that the row does not name was ever confirmed, nor will be.
            return Answer(Outcome.REFUSED, code="not_asked")
        intent, other = await self._own(call)
        return other or await self._seal(call, intent)

    async def _named(self, call: Call, intent: Intent) -> Intent:
        """The intent with our names in it: from now on it pays for this effect alone."""
        names = _names(call)
        if names.items() <= (intent.get("metadata") or {}).items():
            return intent
        await self._intents.update_async(
            intent["id"], {"metadata": names}, options=_options(call, f"name:{call.tries}")
        )
        return await self._retrieve(intent["id"])

    async def _capture(self, call: Call) -> Answer:
        """All of it. What cannot be captured any more is told as it is, and people must look."""
        assert call.reference is not None, "what is captured was authorised, and has a name"
        intent, other = await self._own(call, is_ours=True)
        if other is not None:
            return other
        failed: stripe.StripeError | None = None
        if intent["status"] == "requires_capture":
            try:
                await self._intents.capture_async(
                    intent["id"],
                    {"metadata": _names(call)},
                    options=_options(call, f"capture:{call.tries}"),
                )
            except (stripe.CardError, stripe.InvalidRequestError) as error:
                failed = error
            intent = await self._retrieve(intent["id"])
        if intents.is_taken_in_part(intent):
            return await self._mistaken(call, intent, intents.IN_PART)
        if intent["status"] == "requires_capture":
            code = "not_captured" if failed is None else errors.code(failed)
            return Answer(Outcome.UNKNOWN, call.reference, code)
        return await self._fact(intent)

    async def _undo(self, call: Call) -> Answer:
        intent, other = await self._own(call, is_ours=True)
        if other is not None:
            return other
        if intent["status"] == "requires_capture" and call.captures_later:
            # Whoever said that it was done may have said so without naming it.
            intent = await self._named(call, intent)
        if intent["status"] != "succeeded":
            return await self._seal(call, intent)
        name, code = intent["id"], None
        refunds = await self._list_refunds(name)
        if not intents.is_refunded(intent, refunds, also_open=True):
            try:
                # Without an amount it is all that is left: two who ask at once give it back once.
                await self._refunds.create_async(
                    {"payment_intent": name, "metadata": _names(call)},
                    options=_options(call, f"refund:{len(refunds)}:{call.tries}"),
                )
            except stripe.InvalidRequestError as error:
                code = errors.code(error)
            refunds = await self._list_refunds(name)
        if intents.is_refunded(intent, refunds):
            return Answer(Outcome.UNDONE, name, "refunded")
        if intents.is_refunded(intent, refunds, also_open=True):
            return Answer(Outcome.PENDING, name, "refund_pending", wait=WAIT)
        # Such as a dispute: people must look.
        return Answer(Outcome.UNKNOWN, name, code or "refund_failed")

    async def _create(self, call: Call) -> Answer:
        order = call.order
        assert order.payment_method is not None, "without a method the customer has begun the payment"
        method = order.payment_method.partition(":")[2]
        try:
            customer = (await self._methods.retrieve_async(method)).to_dict().get("customer")
            wanted: dict[str, Any] = {
                "amount": intents.minor_units(order.amount, order.currency),
                "currency": order.currency.lower(),
                "payment_method": method,
                # Others make the customer come back days later.
                "allowed_payment_method_types": ["card"],
                "metadata": _names(call),
                **({"capture_method": "manual"} if call.captures_later else {}),
                **({"customer": customer} if customer else {}),
            }
            made = await self._intents.create_async(
                cast("PaymentIntentCreateParams", wanted), options=_options(call, f"create:{call.tries}")
            )
        except stripe.InvalidRequestError as error:
            if not errors.is_never_possible(error):
                raise
            return Answer(Outcome.REFUSED, code=errors.code(error), reason=Reason.DECLINED)
        return Answer(Outcome.PENDING, made.id, "created")

    async def _confirm(self, call: Call) -> Answer:
        assert call.reference is not None
        failed: stripe.StripeError | None = None
        try:
            await self._intents.confirm_async(
                call.reference, {"off_session": True}, options=_options(call, f"confirm:{call.tries}")
            )
        except (stripe.CardError, stripe.InvalidRequestError) as error:
            failed = error
        intent = await self._retrieve(call.reference)
        never = isinstance(failed, stripe.InvalidRequestError) and errors.is_never_possible(failed)
        if intent["status"] in ("requires_payment_method", "requires_action") or (
            never and intent["status"] == "requires_confirmation"
        ):
            return _declined(
                await self._seal(call, intent), errors.code(failed) if failed else intents.why(intent)
            )
        if failed is not None and intent["status"] == "requires_confirmation":
            return Answer(Outcome.UNKNOWN, call.reference, errors.code(failed))
        return await self._fact(intent)

    async def _own(self, call: Call, *, is_ours: bool = False) -> tuple[Intent, Answer | None]:
        """The intent of the call; and an answer if the customer began it, and it is not for this order.

        What was captured for this order (`is_ours`), or was taken at once and names it, is never refused: its money
        would stay taken.
        """
        assert call.reference is not None
        begun = call.order.payment_reference is not None
        try:
            intent = await self._retrieve(call.reference)
        except stripe.InvalidRequestError as error:
            if not begun or is_ours or error.code != "resource_missing":
                raise
            return {}, Answer(Outcome.REFUSED, call.reference, "resource_missing", Reason.DECLINED)
        wrong = intents.mismatch(call, intent) if begun else None
        if wrong is None:
            return intent, None
        if is_ours or intents.has_taken(call, intent):
            return intent, await self._mistaken(call, intent, wrong)
        return intent, Answer(Outcome.REFUSED, call.reference, wrong, Reason.DECLINED)

    async def _mistaken(self, call: Call, intent: Intent, wrong: str) -> Answer:
        """The answer about money that is taken for this order and should not be as it is."""
        name = intent["id"]
        if intents.has_taken(call, intent) and intents.is_refunded(intent, await self._list_refunds(name)):
            return Answer(Outcome.UNDONE, name, wrong, Reason.DECLINED)
        _LOG.error(
            "Payment %s is not as its order %s says: %s. Its money may be taken, so the order waits. Compare both, and "
            "refund the payment at Stripe",
            name,
            call.order.order_id,
            wrong,
        )
        return Answer(Outcome.UNKNOWN, name, wrong)

    async def _seal(self, call: Call, intent: Intent) -> Answer:
        """Cancels what can be cancelled; if it is too late, the intent says so."""
        if intent["status"] in intents.STOPPABLE:
            with suppress(stripe.InvalidRequestError):
                await self._intents.cancel_async(intent["id"], options=_options(call, f"cancel:{call.tries}"))
            intent = await self._retrieve(intent["id"])
        return await self._fact(intent)

    async def _fact(self, intent: Intent) -> Answer:
        """The fact that the intent says; a refund that is on its way is none, since it may fail."""
        answer = intents.fact(intent)
        if answer.outcome is not Outcome.UNDONE or intent["status"] == "canceled":
            return answer
        if intents.is_refunded(intent, await self._list_refunds(intent["id"])):
            return answer
        return Answer(Outcome.PENDING, intent["id"], "refund_pending", wait=WAIT)

    async def _retrieve(self, name: str) -> Intent:
        found = await self._intents.retrieve_async(name, {"expand": ["latest_charge"]})
        intent: Intent = found.to_dict()
        return intent

    async def _list_refunds(self, name: str) -> Sequence[Mapping[str, Any]]:
        found = await self._refunds.list_async({"payment_intent": name, "limit": 100})
        return [each.to_dict() for each in found.data]


def provider(options: ProviderOptions) -> Stripe:
    """The factory, for `SAGA_PROVIDERS=stripe=saga_app.effects.providers.stripe:provider`; `SettingsError` if a setting
    is wrong."""
    key, address = options.secret("KEY"), options.get("ADDRESS")
    if not key.startswith(("sk_", "rk_")):
        raise SettingsError(
            f"{options.setting('KEY')} is no secret key of Stripe, which begins with sk_ or rk_; or "
            f"{options.setting('KEY')}_FILE names a file that holds one"
        )
    if address and urlsplit(address).hostname not in LOOPBACK:
        raise SettingsError(
            f"{options.setting('ADDRESS')} is for tests on this machine; leave it out for Stripe"
        )
    return Stripe(key, address, options.timeout, options.secret("WEBHOOK_SECRET"), options.app_id)


def _declined(answer: Answer, code: str) -> Answer:
    """The answer, with Stripe's word for why, if it is a refusal."""
    return answer._replace(code=code, reason=Reason.DECLINED) if answer.outcome is Outcome.REFUSED else answer


def _names(call: Call) -> dict[str, str]:
    """Our names of the order and its effect, on the intent: events and `saga reconcile` read them."""
    return {
        ORDER: call.order.order_id,
        SEGMENT: call.segment or "",
        STEP: call.step,
        KEY: route.step(call.step).key(call.order),
        EFFECT: call.effect,
        **({intents.CAPTURE: intents.LATER} if call.captures_later else {}),
    }


def _options(call: Call, request: str) -> Any:
    return {"idempotency_key": call.key(request)[:255]}
