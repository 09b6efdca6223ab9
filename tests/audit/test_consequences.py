"""I8 and I9: every record is accounted for, and what follows from it is in the topics."""

from pathlib import Path

import pytest

from saga_app import topics, wire
from saga_app.core.numbers import Offset
from saga_app.kafka.headers import SENT_ON
from saga_app.kafka.messages import Outgoing, Place
from tests.audit.reading import breach
from tests.audit.world import PARTITIONS, AuditWorld, Written, bought, every_ending
from tests.support.examples import completed, limit, order, pay


@pytest.fixture
def shop(world: AuditWorld) -> AuditWorld:
    """Orders that end in every way, and one bad record."""
    return every_ending(world)


def first_letter(shop: AuditWorld) -> tuple[Place, Written]:
    return next((place, log[0]) for place, log in shop.logs.items() if place[0] == "dead_letters" and log)


def test_a_dead_letter_that_is_missing_is_found(shop: AuditWorld) -> None:
    shop.remove(*first_letter(shop))
    found = breach(shop, "I9")
    assert (found.place, found.offset) == ((topics.PAYMENT, 0), 0)


def test_of_letters_past_their_retention_an_audit_claims_less_and_any_later_one_must_be_there(
    shop: AuditWorld,
) -> None:
    place, letter = first_letter(shop)
    for _ in range(2):
        shop.send(b"{", topics.PAYMENT, 0)
        shop.run()
    shop.keep_from(place, letter.at + 1)
    findings = shop.audit()
    assert findings.holds and findings.figures["I8"]["dead letters past their retention"] == 1
    assert "some letters are gone" in str(findings.unchecked["I8"])

    shop.remove(place, shop.logs[place][-1])
    assert breach(shop, "I9").place == (topics.PAYMENT, 0)


def test_where_letters_stay_for_ever_none_may_be_gone(shop: AuditWorld) -> None:
    place, letter = first_letter(shop)
    shop.cut[place] = shop.end(place)
    shop.remove(place, letter)
    assert shop.logs[place] == [] and breach(shop, "I9").place == (topics.PAYMENT, 0)


def test_a_dead_letter_that_nothing_explains_is_found(shop: AuditWorld) -> None:
    _, letter = first_letter(shop)
    headers = [(name, b"invalid" if name == "saga-reason" else value) for name, value in letter.sent_headers]
    shop.append(Outgoing("dead_letters", b"k", letter.sent_value, 0, headers))
    assert "dead letter invalid of payment_events:0:0" in breach(shop, "I8").what


def test_a_dead_letter_with_a_reason_that_is_no_text_is_found(shop: AuditWorld) -> None:
    _, letter = first_letter(shop)
    headers = [(name, b"\xff" if name == "saga-reason" else value) for name, value in letter.sent_headers]
    shop.append(Outgoing("dead_letters", b"k", letter.sent_value, 0, headers))
    assert r"dead letter \xff of payment_events:0:0" in breach(shop, "I8").what


# I9


def test_a_request_that_was_committed_and_not_sent_is_found(shop: AuditWorld) -> None:
    shop.run(bought("once"))
    shop.replace(*shop.find(topics.SHIPPING, "once"), sent_value=b"{")
    found = [each for each in shop.breaches() if each.invariant == "I9" and "ShipmentRequested" in each.what]
    assert [each.order for each in found] == ["once"]


def test_a_record_that_was_sent_on_and_is_a_dead_letter_there_is_not_missed(world: AuditWorld) -> None:
    """Another content came first, so what was sent on from the wrong partition is set aside in the right one."""
    right = topics.partition_of("twice", PARTITIONS)
    wrong: Place = (topics.CHECKOUT, 1 - right)
    lost = wire.encode(bought("twice", "2.00"))
    world.send(lost, partition=wrong[1])
    world.committed[wrong] = world.end(wrong)
    world.run(bought("twice", "1.00"))
    assert "record to be sent on" in breach(world, "I9").what
    world.append(Outgoing(topics.CHECKOUT, b"twice", lost, headers=((SENT_ON, b"1"),)))
    findings = world.run().audit()
    assert findings.holds
    assert findings.figures["I8"]["dead letters different_content"] == 1


def test_an_ending_that_became_a_dead_letter_is_in_the_topics(world: AuditWorld) -> None:
    """A forged payment goes its way until checkout refuses the ending of an order that nobody placed."""
    world.run(pay(order("unplaced", lines=[("mug", 1)])))
    findings = world.audit()
    assert findings.figures["I8"]["dead letters unknown_order"] == 1
    assert [(each.invariant, "PaymentRequested" in each.what) for each in findings.breaches] == [("I6", True)]


def test_a_forged_ending_that_became_a_dead_letter_is_no_breach_in_any_audit(
    world: AuditWorld, tmp_path: Path
) -> None:
    world.run(bought("o1"), completed("unplaced"))
    for _ in range(3):
        assert world.checkpointed(tmp_path).breaches == []
        world.run(bought(f"later-{world.end(('checkout_events', 0))}"))


def test_a_policy_that_did_not_reach_every_partition_is_found(world: AuditWorld) -> None:
    policy = limit("p", "5.00")
    place = topics.PAYMENT, topics.POLICY_PARTITION
    world.send(policy, partition=topics.POLICY_PARTITION)
    assert world.waiting() == [place]
    world.decide(place, crashes=True)
    world.committed[place] = Offset(1)
    assert "policy for another partition" in breach(world, "I9").what
    copy = Outgoing(topics.PAYMENT, b"p", wire.encode(policy), 1, ((SENT_ON, b"1"),))
    world.append(copy)
    assert world.run().audit().holds


def test_a_record_that_was_committed_and_is_gone_is_found(shop: AuditWorld) -> None:
    place = max(shop.committed, key=lambda each: shop.committed[each])
    shop.committed[place] = Offset(shop.committed[place] + 3)
    assert "records were lost" in breach(shop, "I9").what


def test_what_is_under_way_is_told_and_no_breach(shop: AuditWorld) -> None:
    """A worker was killed: its rows and requests are partly written, and nothing of it is committed."""
    shop.send(bought("under"))
    findings = shop.audit()
    assert findings.holds
    assert findings.figures["I6"]["requests and endings under way"] == 1
    assert findings.figures["I7"]["rows under way"] == 1
    assert findings.figures["I9"]["lag"] == 1


@pytest.mark.parametrize(
    "reason", [b"\xff\xfe", None, b"", b"x" * 100_000], ids=["bytes", "none", "empty", "long"]
)
def test_a_letter_that_no_worker_wrote_is_told_and_the_audit_goes_on(
    shop: AuditWorld, reason: bytes | None
) -> None:
    """It has the headers of a letter, and in them what no worker writes."""
    headers = (
        ("saga-reason", reason),
        ("saga-detail", b"\xff"),
        ("saga-topic", topics.PAYMENT.encode()),
        ("saga-partition", b"1"),
        ("saga-offset", b"999999999999"),
        ("saga-time", b"9" * 5_000),
    )
    sent = shop.append(Outgoing(topics.DEAD_LETTERS, b"\xff", b"\xff", 1, headers))
    found = [(each.place, each.offset) for each in shop.breaches()]
    assert found == [((topics.DEAD_LETTERS, 1), sent.at)]
