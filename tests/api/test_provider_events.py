"""Events of providers: what a provider signed and says now goes into the inbox, and nothing else does."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import datetime
from typing import Any

import pytest

from saga_app.core.records import Outcome, StepAnswered
from saga_app.effects.ports import Answer, Call, Effect, NoAnswer
from saga_app.kafka.topic_admin import BrokerUnreachable
from saga_app.wire import LARGEST_FROM_PEOPLE
from tests.api.door import Door, opened
from tests.support.examples import answered
from tests.web.shop import FilledShop

EVENTS = "/v1/providers/till/events"


class SigningProvider:
    """Its signature is a word; it says what a test tells it to say."""

    def __init__(self) -> None:
        self.says: StepAnswered | Exception | None = answered(Outcome.DONE, "p-1")
        self.heard: list[bytes] = []
        self.closed = False
        self.held: asyncio.Event | None = None

    async def event(self, body: bytes, headers: Mapping[str, str]) -> StepAnswered | None:
        if headers.get("Till-Signature") != "right":
            raise ValueError("this is no event that the till signed")
        self.heard.append(body)
        if isinstance(self.says, Exception):
            raise self.says
        return self.says

    async def do(self, call: Call) -> Answer:
        raise NotImplementedError

    prevent = undo = capture = do

    def ledger(self, since: datetime) -> AsyncIterator[Effect]:
        raise NotImplementedError

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def till() -> SigningProvider:
    return SigningProvider()


@pytest.fixture
def door(shop: FilledShop, till: SigningProvider) -> Iterator[Door]:
    with opened(shop.settings) as door:
        door.parts.providers = {"till": till}
        yield door
    assert till.closed, "its connections are given up"


def told(door: Door, body: Any = b"{}", signature: str = "right") -> Any:
    return door.ask("POST", EVENTS, body, Till_Signature=signature)


def test_what_the_provider_says_now_is_sent_as_its_record(door: Door, till: SigningProvider) -> None:
    answer = told(door, b'{"id": "evt_1"}')
    assert (answer.status_code, answer.json()) == (200, {"known": True})
    assert till.heard == [b'{"id": "evt_1"}'], "the bytes as they were signed"
    ((record, actor, _),) = door.broker.taken
    assert record == till.says and actor == "provider:till"


def test_an_event_that_the_provider_did_not_sign_is_refused(door: Door) -> None:
    answer = told(door, signature="forged")
    assert (answer.status_code, answer.json()["code"]) == (400, "not_an_event")
    assert not door.broker.taken


def test_an_event_about_nothing_of_ours_is_taken_and_changes_nothing(
    door: Door, till: SigningProvider
) -> None:
    till.says = None
    answer = told(door)
    assert (answer.status_code, answer.json()) == (200, {"known": False})
    assert not door.broker.taken


@pytest.mark.parametrize(
    "error", [NoAnswer("502"), TimeoutError(), ConnectionError(), KeyError("its own bug")]
)
def test_the_provider_sends_again_what_cannot_be_asked_about_now(
    door: Door, till: SigningProvider, error: Exception
) -> None:
    till.says = error
    answer = told(door)
    assert (answer.status_code, answer.json()["code"]) == (503, "no_answer")
    assert int(answer.headers["Retry-After"]) > 0 and not door.broker.taken


def test_the_provider_sends_again_what_the_broker_does_not_take(door: Door) -> None:
    door.broker.fails = BrokerUnreachable("no broker answers")
    answer = told(door)
    assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0


def test_a_provider_that_is_not_there_is_named(door: Door) -> None:
    answer = door.ask("POST", "/v1/providers/courier/events", b"{}")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_provider")
    assert "courier" in answer.json()["detail"]


def test_an_event_that_is_too_large_is_not_read_to_its_end(door: Door, till: SigningProvider) -> None:
    answer = told(door, b"x" * (LARGEST_FROM_PEOPLE + 1))
    assert answer.status_code == 413 and not till.heard


def test_only_so_many_events_are_asked_about_at_once(door: Door, till: SigningProvider) -> None:
    door.parts.events = asyncio.Semaphore(0)
    answer = told(door)
    assert (answer.status_code, answer.json()["code"]) == (503, "busy") and not till.heard
