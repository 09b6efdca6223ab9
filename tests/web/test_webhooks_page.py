"""The page of webhooks: how far each endpoint is, what was not taken, and the buttons of operators."""

from collections.abc import Iterator
from typing import Any

import pytest

from saga_app.kafka.topic_admin import TopicsWrong
from saga_app.settings import Settings
from saga_app.web import pages
from saga_app.webhooks import look
from saga_app.webhooks.deliveries import WebhookDelivery
from saga_app.webhooks.look import EndpointBacklog
from tests.web.asking import ask
from tests.web.shop import FilledShop, PageServer, served

PAGE = "/webhooks/"
FAILED = WebhookDelivery(
    endpoint="shop",
    id="o-1:7",
    type="order.completed",
    order_id="o-1",
    outcome="{}",
    state="failed",
    tries=30,
    first_at=0,
    next_at=0,
    last="503 <busy>",
)


class Webhooks:
    """Stands for the topics: the answers of `look`, and what was sent again."""

    def __init__(self) -> None:
        self.backlogs: dict[str, EndpointBacklog] | None = {"shop": EndpointBacklog(4, 2, 1)}
        self.sent: list[tuple[str, frozenset[str], str]] = []

    def look(self, settings: Settings) -> dict[str, EndpointBacklog]:
        if self.backlogs is None:
            raise TopicsWrong("no topic")
        return self.backlogs

    def resend(self, settings: Settings, endpoint: str, ids: frozenset[str], order_id: None) -> list[str]:
        self.sent.append((endpoint, ids, settings.actor))
        return sorted(ids) if endpoint == "shop" and ids != {"gone"} else []


@pytest.fixture
def webhooks(monkeypatch: pytest.MonkeyPatch) -> Webhooks:
    found = Webhooks()
    monkeypatch.setattr(look, "backlogs", found.look)
    monkeypatch.setattr(look, "open_deliveries", lambda settings, most: [FAILED][:most])
    monkeypatch.setattr(look, "resend", found.resend)
    monkeypatch.setattr(pages, "require_broker", lambda settings: None)
    return found


@pytest.fixture
def server(tmp_path: Any, webhooks: Webhooks) -> Iterator[PageServer]:
    shop = FilledShop(f"sqlite:///{tmp_path}/orders.db")
    with served(shop.settings) as server:
        yield server
    shop.close()


def test_it_shows_how_far_each_endpoint_is_and_the_last_answers(server: PageServer) -> None:
    text = ask(server.url, PAGE).text
    for words in ("shop", ">4<", ">2<", ">1<", "o-1:7", "given up", "503 &lt;busy&gt;", "/orders/o-1/"):
        assert words in text, words


def test_a_button_sends_one_event_again_and_the_page_says_so(server: PageServer, webhooks: Webhooks) -> None:
    done = ask(server.url, f"{PAGE}resend", "endpoint=shop&id=o-1:7", Origin=server.url)
    assert (done.status, done.headers["Location"]) == (303, f"{PAGE}?done=resend&number=1")
    assert webhooks.sent == [("shop", frozenset({"o-1:7"}), "pages 127.0.0.1")]
    assert "1 event is tried again now." in ask(server.url, done.headers["Location"]).text


def test_without_an_id_all_that_failed_is_sent_again(server: PageServer, webhooks: Webhooks) -> None:
    ask(server.url, f"{PAGE}resend", "endpoint=shop", Origin=server.url)
    assert webhooks.sent[0][:2] == ("shop", frozenset())


def test_what_is_taken_by_now_is_told(server: PageServer) -> None:
    done = ask(server.url, f"{PAGE}resend", "endpoint=shop&id=gone", Origin=server.url)
    assert done.status == 409 and "taken by now" in done.text


def test_a_request_of_another_site_sends_nothing(server: PageServer, webhooks: Webhooks) -> None:
    done = ask(server.url, f"{PAGE}resend", "endpoint=shop&id=o-1:7", Origin="http://evil.example")
    assert done.status == 403 and not webhooks.sent


def test_where_no_process_has_ever_run_the_page_says_how_to_begin(
    server: PageServer, webhooks: Webhooks
) -> None:
    webhooks.backlogs = None
    assert "saga webhooks run" in ask(server.url, PAGE).text
