"""One try: what is signed, what counts as taken, and what an endpoint may not do to us."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from saga_app.settings import Settings
from saga_app.webhooks import post
from saga_app.webhooks.endpoints import WebhookEndpoint, read_endpoints
from saga_app.webhooks.post import Poster, TriedDelivery
from tests.webhooks.receiver import WebhookReceiver, written_endpoints
from tests.webhooks.test_deliveries import delivery


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    receiver = WebhookReceiver()
    yield receiver
    receiver.close()


def tried(endpoint: WebhookEndpoint) -> TriedDelivery:
    async def once() -> TriedDelivery:
        poster = Poster(endpoint)
        try:
            return await poster.post(delivery())
        finally:
            await poster.close()

    return asyncio.run(once())


def endpoint(folder: Path, url: str) -> WebhookEndpoint:
    (found,) = read_endpoints(Settings(webhooks_file=str(written_endpoints(folder, shop=url))))
    return found


def test_the_receiver_verifies_what_is_signed(tmp_path: Path, receiver: WebhookReceiver):
    assert tried(endpoint(tmp_path, receiver.url)) == TriedDelivery(True, "200")
    assert not receiver.wrong and receiver.events[0]["data"]["order_id"] == "o1"


def test_a_receiver_with_another_secret_refuses_it(tmp_path: Path):
    other = WebhookReceiver(secret="whsec_" + "b" * 44)
    tried(endpoint(tmp_path, other.url))
    assert "No matching signature" in other.wrong[0]
    other.close()


def test_with_two_secrets_the_old_and_the_new_receiver_verify(tmp_path: Path, receiver: WebhookReceiver):
    both = endpoint(tmp_path, receiver.url)._replace(
        secrets=("whsec_" + "b" * 44, *endpoint(tmp_path, receiver.url).secrets)
    )
    assert tried(both).is_taken and not receiver.wrong


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 410, 429, 500, 503])
def test_only_200_to_299_is_taken_and_no_redirect_is_followed(
    tmp_path: Path, receiver: WebhookReceiver, status: int
):
    receiver.answer = lambda event, tries: status
    receiver.headers = {"Location": receiver.url, "Retry-After": "7"}
    found = tried(endpoint(tmp_path, receiver.url))
    assert (found.is_taken, found.answer, found.wait, found.is_final) == (
        False,
        f"{status} well",
        7_000,
        status == 410,
    )
    assert sum(receiver.tried.values()) == 1


def test_a_long_answer_is_not_read(tmp_path: Path, receiver: WebhookReceiver):
    receiver.answer, receiver.body = lambda event, tries: 500, b"x" * 50_000_000
    assert len(tried(endpoint(tmp_path, receiver.url)).answer) <= 200


def test_an_answer_with_a_card_number_is_hidden(tmp_path: Path, receiver: WebhookReceiver):
    receiver.answer, receiver.body = lambda event, tries: 400, b"card 4242424242424242 was refused"
    assert "4242" not in tried(endpoint(tmp_path, receiver.url)).answer


def test_a_silent_endpoint_is_given_up_soon(
    tmp_path: Path, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(post, "TIME_LIMIT", 0.3)
    receiver.delay = 2
    began = time.monotonic()
    found = tried(endpoint(tmp_path, receiver.url))
    assert not found.is_taken and "Timeout" in found.answer and time.monotonic() - began < 1.5


def test_nobody_there_is_told(tmp_path: Path):
    assert "Connect" in tried(endpoint(tmp_path, "http://127.0.0.1:9/")).answer


def test_a_name_that_leads_into_a_private_network_is_refused_when_it_is_looked_up(
    tmp_path: Path, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
):
    """The file was checked when it was read; whoever has the name may point it elsewhere later."""
    monkeypatch.setattr(post, "is_private_address", lambda host: True)
    named = endpoint(tmp_path, receiver.url.replace("127.0.0.1", "localhost"))._replace(is_private=False)
    assert "private" in tried(named).answer and not receiver.tried
