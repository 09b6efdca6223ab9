"""`saga doctor` knows providers: each says whether it answers, accepts the key, and is in test mode."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from saga_app.effects.configured import ProviderOptions
from saga_app.effects.ports import ProviderMode, ProviderReport
from saga_app.effects.providers import http, stripe
from saga_app.effects.reports import ProviderFinding, look
from saga_app.local.stripe.proxy import StripeProxy
from saga_app.settings import SettingsError
from tests.effects.http_service import HttpService
from tests.effects.test_http import status


def report_of(make: Any, *replies: Any) -> ProviderFinding:
    """The finding about a provider that gets these replies."""

    async def run() -> ProviderFinding:
        async with HttpService(*replies).running() as service:
            return await look("p", make(service.address), 0.5)

    return asyncio.run(run())


def over_http(address: str, mode: ProviderMode | None = None) -> http.HttpProvider:
    return http.HttpProvider("p", address, "token", 0.5, mode)


def at_stripe(address: str, key: str = "sk_test_1", secret: str = "") -> stripe.Stripe:
    return stripe.Stripe(key, address, 0.5, secret)


REFUSED = status(401, '{"error": {"type": "invalid_request_error", "message": "no"}}')


@pytest.mark.parametrize("make", [over_http, at_stripe])
def test_a_key_that_is_refused_is_told(make: Any) -> None:
    found = report_of(make, REFUSED)
    assert not found.is_well and found.words.startswith("it answers, and refuses the key: 401"), found


@pytest.mark.parametrize("make", [over_http, at_stripe])
def test_a_provider_that_nobody_reaches_does_not_answer(make: Any) -> None:
    found = asyncio.run(look("p", make("http://127.0.0.1:9"), 2.0))
    assert not found.is_well and found.words.startswith("it does not answer: "), found


def test_the_mode_of_a_service_of_ones_own_is_a_setting() -> None:
    for mode, words in ((None, "it answers, it accepts the key"), (ProviderMode.TEST, "in test mode")):
        found = report_of(lambda address, mode=mode: over_http(address, mode), status(200, '{"effects": []}'))
        assert found.is_well and found.mode is mode and words in found.words, found
    options = {"SAGA_PROVIDER_P_ADDRESS": "http://127.0.0.1:9", "SAGA_PROVIDER_P_MODE": "toast"}
    with pytest.raises(SettingsError, match="SAGA_PROVIDER_P_MODE is 'toast'; it is test or live"):
        http.provider(ProviderOptions("p", "saga", 1.0, options))


def test_the_key_of_stripe_says_the_mode_and_a_secret_that_events_are_heard(localstripe: str) -> None:
    async def run() -> list[ProviderFinding]:
        async with StripeProxy(localstripe).running() as proxy:
            made = (
                at_stripe(proxy.address, "sk_test_local", "whsec_1"),
                at_stripe(proxy.address, "rk_live_local"),
            )
            return [await look("stripe", each, 5.0) for each in made]

    test, live = asyncio.run(run())
    assert test.is_well and "in test mode, its events are heard" in test.words, test
    assert live.mode is ProviderMode.LIVE and "in LIVE mode, no secret for its events" in live.words, live


class WithItsOwnClock:
    """A provider with a clock of its own."""

    def __init__(self, behind: timedelta) -> None:
        self.clock = datetime.now(UTC) - behind

    async def report(self) -> ProviderReport:
        return ProviderReport(clock=self.clock)


def test_a_clock_that_is_far_from_ours_is_a_problem_and_a_second_is_none() -> None:
    for seconds, is_well in ((1, True), (600, False)):
        found = asyncio.run(look("p", WithItsOwnClock(timedelta(seconds=seconds)), 1.0))  # type: ignore[arg-type]
        assert found.is_well is is_well and f"its clock is {seconds} s from ours" in found.words


def test_a_date_header_is_read() -> None:
    from saga_app.times import http_date

    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert http_date(format_datetime(at, usegmt=True)) == at and http_date("yesterday") is None


def test_a_provider_without_a_report_is_only_told() -> None:
    found = asyncio.run(look("p", object(), 1.0))  # type: ignore[arg-type]
    assert found.is_well and found.words == "it is set; it cannot tell how it stands"
