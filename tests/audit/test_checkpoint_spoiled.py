"""Topics that are spoiled before or after a checkpoint: the audit that goes on from it finds it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from saga_app import topics
from saga_app.audit.checkpoints.folder import latest
from saga_app.core.numbers import Offset
from saga_app.dead_letters.format import LetterId, dismissal, marker
from saga_app.kafka.messages import Outgoing
from tests.audit.comparison import same
from tests.audit.world import PARTITIONS, AuditWorld, bought
from tests.support.examples import (
    cancelled,
    limit,
    order,
    release,
)


def double_ending(world: AuditWorld) -> None:
    world.run(bought("o9"))
    world.send(cancelled("o9"))


def released(world: AuditWorld) -> None:
    world.run(bought("o9"))
    world.run(release(order("o9", "10.00", customer_id="c1", country="GB", lines=[("mug", 1)])))


def undone_too_early(world: AuditWorld) -> None:
    world.run(bought("o9", country="NZ"))
    place, row = world.row("shipments", "o9")
    world.replace(place, row, time=row.time + 100_000)


def from_nowhere(world: AuditWorld) -> None:
    world.send(release(order("stranger", lines=[("mug", 1)])))


def ghost_row(world: AuditWorld) -> None:
    world.append(Outgoing("saga-shipments-changelog", b"ghost", b'{"version":0,"state":"DONE"}', 0))


def other_money(world: AuditWorld) -> None:
    world.rewrite(*world.row("accounts", "c1:GBP"), balance="91.00")


def missing_row(table: str, key: str) -> Callable[[AuditWorld], None]:
    def spoil(world: AuditWorld) -> None:
        changelog = f"saga-{table}-changelog"
        for place, log in world.logs.items():
            if place[0] == changelog:
                log[:] = [each for each in log if each.sent_key != key.encode()]

    return spoil


def missing_letter(world: AuditWorld) -> None:
    world.send(b"[", topics.PAYMENT, 0)
    world.run()
    log = next(log for place, log in world.logs.items() if place[0] == topics.DEAD_LETTERS and log)
    del log[-1]


def foreign_letter(world: AuditWorld) -> None:
    logs = [log for place, log in world.logs.items() if place[0] == topics.DEAD_LETTERS]
    letter = next(each for log in logs for each in log if each.sent_headers)
    headers = [(name, b"invalid" if name == "saga-reason" else value) for name, value in letter.sent_headers]
    world.append(Outgoing(topics.DEAD_LETTERS, b"k", letter.sent_value, 0, headers))


def not_sent(world: AuditWorld) -> None:
    world.run(bought("o9"))
    world.replace(*world.find(topics.SHIPPING, "o9"), sent_value=b"{")


def lost_behind_the_end(world: AuditWorld) -> None:
    place = max(world.committed, key=lambda each: world.committed[each])
    world.committed[place] = Offset(world.committed[place] + 3)


SPOILS: dict[str, tuple[Callable[[AuditWorld], None], str]] = {
    "it ended both ways": (double_ending, "I3"),
    "its stock was released though it completed": (released, "I4"),
    "it was undone before the cause was durable": (undone_too_early, "I5"),
    "a request comes from nowhere": (from_nowhere, "I6"),
    "a row comes from nowhere": (ghost_row, "I7"),
    "a balance is another one": (other_money, "I7"),
    "an old row is missing": (missing_row("payments", "first"), "I9"),
    "an old balance is missing": (missing_row("stock", "main:cup"), "I9"),
    "a dead letter is missing": (missing_letter, "I9"),
    "a dead letter comes from nowhere": (foreign_letter, "I8"),
    "a request was committed and not sent": (not_sent, "I9"),
    "records behind the end are committed": (lost_behind_the_end, "I9"),
}


@pytest.mark.parametrize("name", SPOILS)
def test_what_is_broken_after_a_checkpoint_is_found(shop: AuditWorld, tmp_path: Path, name: str) -> None:
    spoil, invariant = SPOILS[name]
    assert shop.checkpointed(tmp_path).holds
    spoil(shop)
    assert invariant in same(shop, tmp_path).broken


@pytest.mark.parametrize("name", SPOILS)
def test_what_is_broken_before_it_is_never_taken_over(shop: AuditWorld, tmp_path: Path, name: str) -> None:
    spoil, invariant = SPOILS[name]
    spoil(shop)
    assert invariant in shop.checkpointed(tmp_path).broken
    assert latest(tmp_path) is None


def test_a_breach_leaves_the_old_checkpoint_as_it_was(shop: AuditWorld, tmp_path: Path) -> None:
    shop.checkpointed(tmp_path)
    before = latest(tmp_path)
    from_nowhere(shop)
    assert not shop.checkpointed(tmp_path).holds
    assert latest(tmp_path) == before


def test_an_old_order_that_is_spoiled_later_is_found(shop: AuditWorld, tmp_path: Path) -> None:
    shop.checkpointed(tmp_path)
    shop.run(release(order("first", "10.00", customer_id="c1", country="GB", lines=[("mug", 1)])))
    found = same(shop, tmp_path)
    assert {("first", "reservations.state")} <= {(each.order, each.field) for each in found.breaches}


def test_what_was_under_way_must_have_been_sent_when_it_is_committed(
    shop: AuditWorld, tmp_path: Path
) -> None:
    sent = shop.send(bought("o9"))
    assert shop.checkpointed(tmp_path).figures["I6"]["requests and endings under way"] == 1
    (place,) = [place for place, log in shop.logs.items() if sent in log]
    shop.decide(place, crashes=True)
    shop.committed[place] = Offset(shop.committed[place] + 1)
    (breach,) = same(shop, tmp_path).breaches
    assert (breach.invariant, breach.order) == ("I9", "o9") and "PaymentRequested" in breach.what


def test_a_change_of_rules_before_the_checkpoint_is_in_force_behind_it(
    shop: AuditWorld, tmp_path: Path
) -> None:
    shop.send(limit("p1", "5.00"), partition=0)
    shop.run()
    shop.checkpointed(tmp_path)
    shop.run(bought("o9"))
    assert same(shop, tmp_path).figures["I3"]["cancelled: over_limit"] == 2


def test_everything_is_counted_once(shop: AuditWorld, tmp_path: Path) -> None:
    shop.checkpointed(tmp_path)
    figures = same(shop, tmp_path).figures["I8"]
    assert (figures["foreign records in dead_letters"], figures["dead letters"]) == (1, 1)


def test_a_letter_with_several_markers_is_settled_once(shop: AuditWorld, tmp_path: Path) -> None:
    letter = LetterId(topics.PAYMENT, 0, 0)
    shop.append(dismissal(letter, 0, "one of two who were quick"))
    shop.append(dismissal(letter, 0, "the other"))
    shop.checkpointed(tmp_path)
    shop.append(marker(letter, 0, b"x", [letter]))
    assert same(shop, tmp_path).figures["I8"]["letters settled"] == 1


def test_a_late_copy_of_an_old_request_comes_from_somewhere(shop: AuditWorld, tmp_path: Path) -> None:
    place, asked = shop.find(topics.PAYMENT, "PaymentRequested")
    shop.checkpointed(tmp_path)
    shop.append(Outgoing(place[0], asked.sent_key, asked.sent_value, place[1]))
    shop.run()
    assert same(shop, tmp_path).holds


# Topics without their beginning


def test_a_row_under_way_at_a_checkpoint_is_compared_with_its_committed_version_later(
    shop: AuditWorld, tmp_path: Path
) -> None:
    shop.send(bought("late"))
    shop.decide((topics.CHECKOUT, topics.partition_of("late", PARTITIONS)))
    while waiting := [place for place in shop.waiting() if place[0] != topics.CHECKOUT]:
        shop.decide(waiting[0])
    assert shop.checkpointed(tmp_path).holds
    assert shop.checkpointed(tmp_path).holds
    shop.remove(*shop.row("orders", "late"))
    lacking = [each for each in shop.checkpointed(tmp_path).breaches if each.order == "late"]
    assert [each.invariant for each in lacking] == ["I9"]
