"""The page of the operator log: who did what, from the records themselves."""

from collections.abc import Iterator
from typing import Any

import pytest

from saga_app import topics, wire
from saga_app.core.records import Outcome, PolicyChanged
from saga_app.dead_letters import format as letter_format
from saga_app.dead_letters.format import LetterId
from saga_app.kafka.headers import ACTOR
from tests.orderdb.batches import FakeMessage
from tests.support.examples import answered, cancel, delivery, deposit, placed
from tests.web.asking import ask
from tests.web.shop import FilledShop, PageServer, served

LETTER = LetterId(topics.CHECKOUT, 3, 7)
PAGE = "/operator-log/"


def by(actor: str, record: Any, offset: int) -> FakeMessage:
    """A record that this person has sent."""
    headers = [(ACTOR, actor.encode())]
    return FakeMessage(topics.topic_of(record), offset, wire.encode(record), time=offset, headers=headers)


def settled(actor: str, note: str, offset: int) -> FakeMessage:
    marker = letter_format.dismissal(LETTER, 3, note)
    headers = [*marker.headers, (ACTOR, actor.encode())]
    return FakeMessage(topics.DEAD_LETTERS, offset, None, marker.key or b"", offset, headers)


@pytest.fixture
def server(tmp_path: Any) -> Iterator[PageServer]:
    """One action of each kind; an order that a shop has placed; and a cancellation of nobody."""
    shop = FilledShop(f"sqlite:///{tmp_path}/orders.db")
    shop.write(
        by("api shop", placed("o-1"), 1_001),
        by("ada@laptop", cancel("o-1"), 1_002),
        by("ada@laptop", deposit("d9", "7.50", "bob"), 1_003),
        by("pages otto", delivery("v9", "north", MUG=3), 1_004),
        by("otto", PolicyChanged(policy_id="p-1", countries=("GB", "FR")), 1_005),
        by("otto", answered(Outcome.DONE, "pi_1", detail="seen <there>"), 1_006),
        settled("otto", "a test", 1_007),
        FakeMessage(topics.CHECKOUT, 1_008, wire.encode(cancel("o-1")), time=1_008),
    )
    with served(shop.settings) as server:
        yield server
    shop.close()


def rows(server: PageServer, question: str = "") -> list[str]:
    body = ask(server.url, f"{PAGE}{question}").text.partition("<tbody>")[2].partition("</tbody>")[0]
    return [row for row in body.split("<tr>") if row.strip()]


def test_it_lists_who_did_what_newest_first_and_no_order_that_was_placed(server: PageServer) -> None:
    found = rows(server)
    assert len(found) == 6
    for row, words in zip(
        found,
        (
            ("otto", "dismissed a dead letter", "a test", "/dead-letters/checkout_events%3A3%3A7/"),
            ("otto", "told what a provider did", "payment done pi_1 seen &lt;there&gt;", "/orders/o1/"),
            ("otto", "changed a rule", "countries GB FR"),
            ("pages otto", "received stock", "3 units of 1 articles, delivery v9"),
            ("ada@laptop", "deposited money", "7.50 GBP, deposit d9", "/accounts/bob/"),
            ("ada@laptop", "cancelled an order", "/orders/o-1/"),
        ),
        strict=True,
    ):
        assert all(word in row for word in words), (words, row)


def test_it_shows_one_person_or_one_kind(server: PageServer) -> None:
    assert len(rows(server, "?actor=ada@laptop")) == 2
    assert len(rows(server, "?actor=otto&type=PolicyChanged")) == 1
    assert rows(server, "?actor=nobody") == []


def test_its_pages_go_on_behind_the_last_row(server: PageServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saga_app.web.operator_log.PAGE_SIZE", 4)
    text = ask(server.url, PAGE).text
    following = text.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    assert len(rows(server)) == 4
    assert len(rows(server, following.removeprefix(PAGE))) == 2
    assert ask(server.url, f"{PAGE}?before=nonsense").status == 400
