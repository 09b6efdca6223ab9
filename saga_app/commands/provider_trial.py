"""`saga try --provider`: orders of each way to pay at a provider in test mode, placed and followed to their end."""

import asyncio
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from saga_app.commands.endings import EndWatch, FinalStatus
from saga_app.commands.exit_codes import CommandExit
from saga_app.commands.render.output import CommandFailed, show
from saga_app.core import shipping
from saga_app.core.countries import CODES
from saga_app.core.records import Outcome
from saga_app.core.rows import Status
from saga_app.dead_letters.letter import Letter
from saga_app.effects.configured import close, inner
from saga_app.effects.ledgers import provider_of
from saga_app.effects.ports import Effect, ProviderMode, TrialPayment
from saga_app.effects.reports import ProviderFinding, look
from saga_app.health.rules import RuleInForce, in_force
from saga_app.kafka.sender import Sender, Sent, checked
from saga_app.settings import Settings

#: Each order pays so much: above the least of every provider, and below any limit.
AMOUNT: Final = Decimal("1.00")
CURRENCY: Final = "GBP"
#: Seconds in which all must have ended and the provider must say the same.
WITHIN: Final = 120.0
_PAUSE: Final = 1.0


def try_provider(settings: Settings, name: str, *, as_json: bool) -> int:
    """Places the orders; the exit code. `CommandFailed` if real money or real parcels could move."""
    _must_be_in_test_mode(settings, name)
    served = _served(settings)
    begin = datetime.now(UTC) - timedelta(minutes=1)
    not_served = next((code for code in ("AQ", *sorted(CODES)) if code not in served), "")
    prefix = f"try-{uuid.uuid4().hex[:12]}"
    payments = _payments(settings, name, prefix, not_served)
    watch = EndWatch(settings)
    records = [_order(each) for each in payments]
    sent = dict(zip((each.order_id for each in payments), Sender(settings).send_all(records), strict=True))
    until = time.monotonic() + WITHIN
    ended = _ended(watch, sent, until)
    told = _at_provider(settings, name, begin, payments, until)
    for each in payments:
        _show(name, each, ended.get(each.order_id), told.get(each.order_id), as_json=as_json)
    return code_of(payments, ended, {order_id: entry.outcome for order_id, entry in told.items()})


def _must_be_in_test_mode(settings: Settings, name: str) -> None:
    must_be_test(asyncio.run(look(name, provider_of(settings, name), settings.provider_timeout)))
    rules = in_force(settings)["shipping"]
    for carrier in {rule.carrier for rule in rules} - {None, shipping.NOBODY}:
        assert carrier is not None
        must_be_test(asyncio.run(look(carrier, provider_of(settings, carrier), settings.provider_timeout)))


def must_be_test(found: ProviderFinding) -> None:
    if not found.is_well:
        raise CommandFailed(f"provider {found.name}: {found.words}")
    if found.mode is not ProviderMode.TEST:
        what = "in LIVE mode" if found.mode is ProviderMode.LIVE else "not known to be in test mode"
        raise CommandFailed(f"provider {found.name} is {what}: no order is placed there only to try it")


def _served(settings: Settings) -> set[str]:
    rules: Sequence[RuleInForce] = list(in_force(settings)["shipping"])
    return {code for rule in rules for code in rule.countries or shipping.COUNTRIES}


def _payments(settings: Settings, name: str, prefix: str, not_served: str) -> list[TrialPayment]:
    async def made() -> list[TrialPayment]:
        provider = provider_of(settings, name)
        begin: Any = getattr(inner(provider), "trial_payments", None)
        try:
            if begin is None:
                raise CommandFailed(
                    f"provider {name} has no payments of test mode; `saga provider-check` tries a service of your own"
                )
            found: list[TrialPayment] = await begin(name, prefix, AMOUNT, CURRENCY, not_served)
            return found
        finally:
            await close(provider)

    return asyncio.run(made())


def _order(payment: TrialPayment) -> Any:
    customer = payment.order_id
    return checked(
        {
            "order_id": payment.order_id,
            "customer_id": customer,
            "amount": str(AMOUNT),
            "currency": CURRENCY,
            **payment.fields,
        }
    )


def _ended(watch: EndWatch, sent: Mapping[str, Sent], until: float) -> dict[str, FinalStatus | Letter]:
    return dict(watch.wait(sent, max(0.0, until - time.monotonic())))


def _at_provider(
    settings: Settings, name: str, begin: datetime, payments: Sequence[TrialPayment], until: float
) -> dict[str, Effect]:
    """The provider's own word about each payment, asked again until it is as it must be."""
    while True:
        entries = asyncio.run(_ledger(settings, name, begin))
        found = {each.order_id: each for each in entries if each.order_id is not None}
        if all(_agrees(each, found.get(each.order_id)) for each in payments) or time.monotonic() > until:
            return found
        time.sleep(_PAUSE)


async def _ledger(settings: Settings, name: str, begin: datetime) -> list[Effect]:
    provider = provider_of(settings, name)
    try:
        return [each async for each in provider.ledger(begin)]
    finally:
        await close(provider)


def _agrees(payment: TrialPayment, entry: Effect | None) -> bool:
    return entry is not None and entry.outcome in payment.ends


def is_right(payment: TrialPayment, end: FinalStatus | Letter | None, outcome: Outcome | None) -> bool:
    """True if the order ended as it must, and the provider says the same."""
    if not isinstance(end, FinalStatus) or outcome not in payment.ends:
        return False
    return (end.status is Status.COMPLETED) is payment.completes


def code_of(
    payments: Sequence[TrialPayment],
    ended: Mapping[str, FinalStatus | Letter | None],
    told: Mapping[str, Outcome | None],
) -> int:
    """The exit code: 1 if one is wrong, else 4 if one has not ended, else 0."""
    wrong = [
        each.order_id
        for each in payments
        if not is_right(each, ended.get(each.order_id), told.get(each.order_id))
    ]
    if any(ended.get(order_id) is not None for order_id in wrong):
        return int(CommandExit.FAILED)
    return int(CommandExit.NOT_ENDED if wrong else CommandExit.DONE)


def _show(
    name: str, payment: TrialPayment, end: FinalStatus | Letter | None, entry: Effect | None, *, as_json: bool
) -> None:
    words = f"has not ended in {WITHIN:g} s" if end is None else str(end)
    if isinstance(end, Letter):
        words = f"is a dead letter, {end.reason}"
    is_well = is_right(payment, end, None if entry is None else entry.outcome)
    machine = {
        "order_id": payment.order_id,
        "what": payment.what,
        "ok": is_well,
        "words": words,
        "outcome": None if entry is None else entry.outcome,
        "reference": None if entry is None else entry.reference,
    }
    says = "nothing of it" if entry is None else f"{entry.outcome}, {entry.reference}"
    mark = "ok     " if is_well else "WRONG  "
    show(
        machine,
        f"{mark}  {payment.what}: order {payment.order_id} {words}; {name} says {says}",
        as_json=as_json,
    )
