"""The HTTP provider: only an answer in full with status 200 says anything of the effect."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from saga_app.core.outside import Action
from saga_app.core.records import Outcome, Reason, StepName
from saga_app.effects.configured import ProviderOptions
from saga_app.effects.ports import Answer, Call, Effect, NoAnswer
from saga_app.effects.providers.http import HttpProvider, LedgerUnreadable, provider
from saga_app.settings import SettingsError
from tests.effects.http_service import HttpService
from tests.support.examples import order

CALL = Call(Action.DO, "saga:shipping:o1:17", StepName.SHIPPING, order(), "0:1", "r0", 2, 900)
DONE = '{"outcome":"done","reference":"r1"}'
SINCE = datetime(2026, 1, 1, tzinfo=UTC)


def asked(
    *replies: Any,
    ask: Callable[[HttpProvider], Awaitable[Any]] = lambda provider: provider.do(CALL),
    **options: Any,
) -> tuple[Any, HttpService]:
    """The provider's answer to these replies, and the service that gave them."""

    async def run() -> tuple[Any, HttpService]:
        async with HttpService(*replies).running() as service:
            provider = HttpProvider("carrier", f"{service.address}/saga/", **options)
            try:
                return await ask(provider), service
            finally:
                await provider.close()

    return asyncio.run(run())


def status(code: int, text: str = "", **headers: str) -> Callable[[], web.Response]:
    return lambda: web.Response(status=code, text=text, headers=headers)


def no_answer(reply: Any, **options: Any) -> NoAnswer:
    with pytest.raises(NoAnswer) as found:
        asked(reply, **options)
    return found.value


@pytest.mark.parametrize("action", Action)
def test_each_verb_is_a_post_with_the_call_and_a_key_that_is_equal_at_every_attempt(action: Action):
    answer, service = asked(
        DONE, ask=lambda provider: getattr(provider, action)(CALL._replace(tries=7)), token="secret"
    )
    [seen] = service.seen
    assert answer == Answer(Outcome.DONE, "r1")
    assert (seen.method, seen.path) == ("POST", f"/saga/shipping/{action}")
    assert seen.headers["idempotency-key"] == f"saga:shipping:o1:17:{action}"
    assert seen.headers["authorization"] == "Bearer secret"
    body = json.loads(seen.body)
    assert (body["action"], body["effect"], body["reference"], body["tries"]) == (
        action,
        CALL.effect,
        "r0",
        7,
    )
    assert body["order"] == json.loads(CALL.order.canonical)


def test_every_field_of_an_answer_is_taken():
    text = '{"outcome":"refused","reference":"r1","code":"c","reason":"undeliverable","detail":"d","wait":2}'
    assert asked(text)[0] == Answer(Outcome.REFUSED, "r1", "c", Reason.UNDELIVERABLE, "d", 2.0)


@pytest.mark.parametrize("code", [300, 302, 400, 401, 403, 404, 405, 410, 422])
def test_an_error_4xx_is_our_own_mistake_so_it_is_unknown_and_people_are_called(
    code: int, caplog: pytest.LogCaptureFixture
):
    answer, _ = asked(status(code, '{"outcome":"refused"}', Location="/elsewhere"))
    assert (answer.outcome, answer.code) == (Outcome.UNKNOWN, f"http_{code}")
    assert [each.levelno for each in caplog.records if "carrier" in each.message] == [logging.ERROR]


@pytest.mark.parametrize("code", [408, 409, 425, 429, 500, 502, 503, 504])
def test_what_is_not_now_is_no_answer_and_calls_nobody(code: int, caplog: pytest.LogCaptureFixture):
    assert no_answer(status(code, '{"outcome":"done","reference":"r1"}')).code == f"http_{code}"
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_is_waited_for_in_seconds_or_until_a_date(code: int):
    assert no_answer(status(code, **{"Retry-After": "7"})).wait == 7
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=60))
    assert 50 < no_answer(status(code, **{"Retry-After": later})).wait <= 60
    assert no_answer(status(code, **{"Retry-After": "soon"})).wait == 0
    assert no_answer(status(code, **{"Retry-After": "999999999"})).wait == 600


@pytest.mark.parametrize("reply", ["cut", "gone", "never"])
def test_an_answer_that_does_not_come_whole_is_no_answer(reply: str):
    assert no_answer(reply, time_limit=0.5).code


def test_nothing_is_asked_twice_by_one_call():
    async def ask(provider: HttpProvider) -> None:
        with suppress(NoAnswer):
            await provider.do(CALL)

    seen = asked("gone", DONE, ask=ask)[1].seen
    assert len(seen) == 1


def test_a_service_that_is_not_there_is_no_answer():
    async def ask() -> Answer:
        provider = HttpProvider("carrier", "http://127.0.0.1:9")
        try:
            return await provider.do(CALL)
        finally:
            await provider.close()

    with pytest.raises(NoAnswer, match="ClientConnectorError"):
        asyncio.run(ask())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "done",
        "[]",
        '{"outcome":"perhaps"}',
        '{"outcome":"done"}',
        '{"outcome":"done","reference":"with spaces"}',
    ],
)
def test_an_answer_that_is_not_as_the_contract_says_is_unknown_and_people_are_called(
    text: str, caplog: pytest.LogCaptureFixture
):
    answer, _ = asked(text)
    assert (answer.outcome, answer.code) == (Outcome.UNKNOWN, "bad_answer")
    assert [each for each in caplog.records if each.levelno == logging.ERROR]


def test_a_card_number_in_an_error_is_not_repeated(caplog: pytest.LogCaptureFixture):
    answer, _ = asked(status(400, "the card 4111 1111 1111 1111 is wrong"))
    assert "4111" not in str(answer) and "4111" not in caplog.text


def test_an_answer_without_end_is_cut_off():
    assert no_answer("x" * 1_000_000).code == "ClientPayloadError"


def test_a_token_of_another_provider_is_not_sent():
    mine = CALL._replace(order=order(payment_method="carrier:tok_1"))
    other = CALL._replace(order=order(payment_method="stripe:pm_1"))
    sent = [json.loads(asked(DONE, ask=lambda each: each.do(call))[1].seen[0].body) for call in (mine, other)]  # noqa: B023
    assert [each["order"].get("payment_method") for each in sent] == ["carrier:tok_1", None]


def test_events_are_not_in_the_contract():
    with pytest.raises(ValueError, match="sends no events"):
        asked(DONE, ask=lambda provider: provider.event(b"{}", {}))


async def whole(provider: HttpProvider) -> list[Effect]:
    return [each async for each in provider.ledger(SINCE)]


def page(*names: str, **more: str) -> str:
    effects = [
        {
            "effect": f"saga:shipping:{name}:17",
            "step": "shipping",
            "order_id": name,
            "outcome": "done",
            "reference": name,
        }
        for name in names
    ]
    return json.dumps({"effects": [{**each, "at": "2026-01-02T03:04:05+01:00"} for each in effects], **more})


def test_the_ledger_is_read_page_by_page():
    effects, service = asked(page("a", "b", next="p2"), page("c"), ask=whole)
    assert [(each.order_id, each.outcome) for each in effects] == [(name, Outcome.DONE) for name in "abc"]
    assert effects[0].at == datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC)
    assert [each.path for each in service.seen] == [
        "/saga/effects?since=2026-01-01T00:00:00%2B00:00",
        "/saga/effects?since=2026-01-01T00:00:00%2B00:00&after=p2",
    ]


@pytest.mark.parametrize(
    "second", [status(500), "cut", "no ledger", page("c", next="p2")], ids=["500", "cut", "text", "loop"]
)
def test_a_ledger_that_cannot_be_had_whole_is_no_ledger(second: Any):
    with pytest.raises(LedgerUnreadable):
        asked(page("a", next="p2"), second, ask=whole)


ADDRESS = "SAGA_PROVIDER_CARRIER_ADDRESS"
TOKEN = "SAGA_PROVIDER_CARRIER_TOKEN"


def made(**environment: str) -> HttpProvider:
    return provider(ProviderOptions("carrier", "saga", 20.0, environment))


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {ADDRESS: "carrier.example/saga"},
        {ADDRESS: "ftp://carrier.example"},
        {ADDRESS: "https://user:word@carrier.example"},
        {ADDRESS: "http://carrier.example", TOKEN: "secret"},
        {ADDRESS: "https://carrier.example", TOKEN: "secret", TOKEN + "_FILE": "/nowhere"},
    ],
)
def test_settings_that_cannot_be_used_are_named(environment: dict[str, str]):
    with pytest.raises(SettingsError, match="SAGA_PROVIDER_CARRIER") as found:
        made(**environment)
    assert "secret" not in str(found.value) and "word" not in str(found.value)


def test_the_token_may_be_in_a_file(tmp_path: Path):
    (tmp_path / "token").write_text("secret\n")
    found = made(**{ADDRESS: "https://carrier.example/saga", TOKEN + "_FILE": f"{tmp_path}/token"})
    assert found._headers == {"Authorization": "Bearer secret"}
    assert made(**{ADDRESS: "http://127.0.0.1:8900"})._headers == {}
