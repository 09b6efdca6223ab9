"""Each breach has a proposal that mends it, with commands that there are."""

import re
import shlex

import click
import pytest

from saga_app import topics
from saga_app.audit.findings import Breach, Mending
from saga_app.audit.mending import ADVICE, proposals
from saga_app.commands import main
from saga_app.core.numbers import Offset
from tests.audit.world import AuditWorld, bought
from tests.support.examples import cancelled, delivery, deposit, order, refund, release


@pytest.fixture
def shop(world: AuditWorld) -> AuditWorld:
    """An order that completed, one that was refused, and a bad record."""
    world.send(b"{", topics.PAYMENT, 0)
    return world.run(delivery("d1", mug=10), deposit("d1")).run(bought("o1"), bought("scarce", mug=99))


def mendings(world: AuditWorld) -> dict[str, set[Mending]]:
    """The ways to mend, by invariant."""
    found: dict[str, set[Mending]] = {}
    for each in world.breaches():
        found.setdefault(each.invariant, set()).add(each.mending)
    return found


def test_there_is_advice_for_each_way_to_mend() -> None:
    assert set(ADVICE) == set(Mending)


@pytest.mark.parametrize("mending", Mending)
def test_each_command_that_is_proposed_is_there_with_its_options(mending: Mending) -> None:
    breach = Breach("I1", "what", (topics.PAYMENT, 3), 7, "o1", mending=mending)
    (proposal,) = proposals([breach])
    assert len(proposal.commands) == len(ADVICE[mending].commands)
    for words in map(shlex.split, proposal.commands):
        command: click.Command = main
        assert words.pop(0) == "saga"
        found = main.all_commands()
        while words and words[0] in found:
            command = found[words.pop(0)]
            found = getattr(command, "commands", {})
        assert command is not main, words
        options = {name for each in command.params for name in each.opts}
        assert {each for each in words if each.startswith("--")} <= options
        assert not re.search("[{}]", " ".join(words))


def test_a_row_that_does_not_follow_from_the_inbox_is_mended_by_a_rebuild(shop: AuditWorld) -> None:
    shop.rewrite(*shop.row("accounts", "c1:GBP"), balance="91.00")
    assert mendings(shop) == {"I7": {Mending.REBUILD}}
    assert shop.rebuild().breaches() == []


def test_a_row_that_is_missing_is_mended_by_a_rebuild(shop: AuditWorld) -> None:
    shop.remove(*shop.row("payments", "o1"))
    assert mendings(shop)["I9"] == {Mending.REBUILD}
    assert shop.rebuild().breaches() == []


def test_a_lost_request_is_mended_when_checkout_asks_again(shop: AuditWorld) -> None:
    shop.run(bought("once"))
    place, request = shop.find(topics.SHIPPING, "once")
    shop.replace(place, request, sent_value=b"{")
    assert Mending.ASK_AGAIN in mendings(shop)["I9"]


def test_a_forged_request_a_forged_letter_and_a_forged_ending_are_told_apart(shop: AuditWorld) -> None:
    shop.send(cancelled("o1"))
    shop.run(release(order("forged", lines=[("mug", 1)])))
    found = mendings(shop)
    assert Mending.FORGED in found["I6"] and found["I3"] == {Mending.TWO_ENDINGS}


def test_what_cannot_be_undone_is_left_to_a_person(shop: AuditWorld) -> None:
    shop.run(refund(order("o1", "10.00", customer_id="c1", country="GB", lines=[("mug", 1)])))
    found = mendings(shop)
    assert (found["I4"], found["I5"]) == ({Mending.HALF_DONE}, {Mending.PAST})


def test_an_inbox_that_lost_its_end_is_advanced(shop: AuditWorld) -> None:
    place = max(shop.committed, key=lambda each: shop.committed[each])
    shop.committed[place] = Offset(shop.committed[place] + 3)
    assert mendings(shop)["I9"] == {Mending.ADVANCE}


def test_what_the_same_commands_mend_is_one_proposal() -> None:
    rows = [
        Breach("I7", f"row {each}", (topics.PAYMENT, 0), each, mending=Mending.REBUILD) for each in range(9)
    ]
    orders = [
        Breach("I6", "forged", (topics.PAYMENT, 0), 1, each, mending=Mending.FORGED) for each in ("a", "b")
    ]
    found = proposals([rows[0], *orders, *rows[1:]])
    assert [len(each.breaches) for each in found] == [9, 1, 1]
    assert found[1].commands[0] == "saga history a"


def test_a_command_is_left_out_where_the_breach_does_not_name_what_it_needs() -> None:
    (proposal,) = proposals([Breach("I6", "forged", (topics.PAYMENT, 0), 1, mending=Mending.FORGED)])
    assert not any("history" in each for each in proposal.commands) and proposal.commands
