"""Effects at providers on the pages: what is known of each, and the list of orders in doubt."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from saga_app.core.records import Outcome
from saga_app.times import now
from tests.support.examples import CAPTURED_LATER, answered, placed, route_policy
from tests.web.asking import ask
from tests.web.shop import FilledShop, PageServer, served


def outside(order_id: str) -> Any:
    return placed(order_id, "10.00", customer_id="c1", payment_method="stripe:pm_1")


def says(order_id: str, outcome: Outcome, reference: str, **fields: Any) -> Any:
    return answered(outcome, reference, order_id=order_id, **fields)


@pytest.fixture
def server(tmp_path: Any) -> Iterator[PageServer]:
    """An order that waits for its provider for long, one since now, one that was paid twice, and one that was paid."""
    shop = FilledShop(f"sqlite:///{tmp_path}/orders.db", now() - 3_600_000)
    shop.send(outside("waits"), says("waits", Outcome.PENDING, "pi_1", code="requires_confirmation"))
    shop.send(outside("twice"), says("twice", Outcome.DONE, "pi_2"), says("twice", Outcome.DONE, "pi_3"))
    shop.send(outside("paid"), says("paid", Outcome.DONE, "pi_4"))
    shop.services.set_clock(now())
    shop.send(outside("young"))
    with served(shop.settings) as server:
        yield server
    shop.close()


def listed(server: PageServer, question: str) -> set[str]:
    text = ask(server.url, f"/orders/?{question}").text
    return set(re.findall(r'href="/orders/([a-z]+)/"', text))


def test_orders_in_doubt_are_those_asked_for_long_ago_and_those_in_conflict(server: PageServer) -> None:
    assert listed(server, "") == {"waits", "twice", "paid", "young"}
    assert listed(server, "doubt=1") == {"waits", "twice"}
    assert listed(server, "doubt=1&state=COMPLETED") == {"twice"}
    assert listed(server, "doubt=1&state=CANCELLED") == set()


def test_the_order_says_what_is_known_of_its_effect(server: PageServer) -> None:
    text = ask(server.url, "/orders/waits/").text.partition("At providers")[2].partition("</table>")[0]
    for words in ("stripe", "asked to do it", "requires_confirmation", "pi_1"):
        assert words in text
    twice = ask(server.url, "/orders/twice/").text
    assert "done, but its provider said: done pi_3" in twice
    assert "pm_1" not in text + twice, "the token of the method is nobody's business"


def test_the_order_says_until_when_its_money_is_authorised(tmp_path: Any) -> None:
    shop = FilledShop(f"sqlite:///{tmp_path}/held.db", now() - 3_600_000)
    shop.send(route_policy("p1", *CAPTURED_LATER), outside("held"))
    shop.send(says("held", Outcome.DONE, "pi_1", capture_before=1_900_000_000))
    with served(shop.settings) as held:
        text = ask(held.url, "/orders/held/").text
    shop.close()
    known = text.partition("At providers")[2].partition("</table>")[0]
    assert "asked to capture it, until " in known and "2030-03-17" in known
    assert "capture the payment" in text


def test_an_order_that_asked_no_provider_has_no_such_part(server: PageServer, tmp_path: Any) -> None:
    shop = FilledShop(f"sqlite:///{tmp_path}/other.db")
    shop.send(placed("plain", "10.00"))
    with served(shop.settings) as other:
        assert "At providers" not in ask(other.url, "/orders/plain/").text
    shop.close()
