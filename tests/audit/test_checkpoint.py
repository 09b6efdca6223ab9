"""Topics that were cut, compacted or written anew since a checkpoint: it knows what they had."""

from pathlib import Path

import pytest

from saga_app import topics
from saga_app.audit.checkpoints.folder import latest
from saga_app.audit.cuts import AsOf, CannotTell
from saga_app.core.numbers import FIRST
from saga_app.kafka.messages import Outgoing
from tests.audit.comparison import content
from tests.audit.world import AuditWorld, bought


def cut_all(world: AuditWorld, known: dict[tuple[str, int], int]) -> None:
    """Retention takes everything that the checkpoint knows."""
    for place, offset in known.items():
        if place[0] in topics.INBOXES:
            world.keep_from(place, offset)


def test_inboxes_that_are_cut_are_known_from_the_checkpoint(shop: AuditWorld, tmp_path: Path) -> None:
    shop.checkpointed(tmp_path)
    whole = content(shop.audit())
    base = latest(tmp_path)
    assert base is not None
    cut_all(shop, dict(base.known))
    assert content(shop.audit(base=base)) == whole
    assert shop.audit().unchecked["I7"], "without the checkpoint less is claimed"


def test_records_that_were_cut_before_they_were_audited_are_said_to_be_unknown(
    shop: AuditWorld, tmp_path: Path
) -> None:
    shop.checkpointed(tmp_path)
    place, _ = shop.find(topics.PAYMENT, "PaymentRequested")
    known = shop.end(place)
    shop.run(bought("o9"), bought("o10"))
    shop.keep_from(place, known + 1)
    findings = shop.checkpointed(tmp_path)
    assert findings.holds
    (why,) = findings.unchecked["I7"]
    assert f"begins at offset {known + 1}, and the checkpoint ends at {known}" in why
    assert findings.unchecked["I6"] and findings.unchecked["I8"]
    checkpoint = latest(tmp_path)
    assert checkpoint is not None and checkpoint.manifest.audits == 1, "nothing is built on it"


def test_a_topic_that_lost_its_end_is_found(shop: AuditWorld, tmp_path: Path) -> None:
    shop.checkpointed(tmp_path)
    place, _ = shop.find(topics.SHIPPING, "ShipmentRequested")
    shop.remove(place, shop.logs[place][-1])
    found = [
        each for each in shop.audit(base=latest(tmp_path)).breaches if "the checkpoint ends" in each.what
    ]
    assert [(each.invariant, each.place) for each in found] == [("I9", place)]


def test_a_topic_that_was_written_anew_is_found(shop: AuditWorld, tmp_path: Path) -> None:
    shop.checkpointed(tmp_path)
    place, _ = shop.find(topics.SHIPPING, "ShipmentRequested")
    shop.replace(place, shop.logs[place][-1], sent_value=b"{")
    found = shop.audit(base=latest(tmp_path)).breaches
    assert [(each.invariant, each.place) for each in found] == [("I9", place)]
    assert "not the record that the checkpoint ends with" in found[0].what


def test_rows_that_were_compacted_away_after_the_checkpoint_are_known(
    shop: AuditWorld, tmp_path: Path
) -> None:
    """The first row that goes back has the time that I5 needs."""
    shop.checkpointed(tmp_path)
    place, first = shop.row("shipments", "far")
    shop.append(Outgoing(place[0], first.sent_key, first.sent_value, place[1]))
    shop.remove(place, first)
    assert shop.audit().unchecked["I5"]
    findings = shop.audit(base=latest(tmp_path))
    assert findings.holds and not findings.unchecked["I5"]


def test_a_state_behind_the_checkpoint_can_be_told_and_one_before_it_cannot(
    shop: AuditWorld, tmp_path: Path
) -> None:
    then = shop.now
    shop.checkpointed(tmp_path)
    shop.run(bought("o9"))
    between = shop.now
    shop.run(bought("o10"))
    base = latest(tmp_path)
    assert content(shop.audit(AsOf(time=between), base=base)) == content(shop.audit(AsOf(time=between)))
    with pytest.raises(CannotTell, match="without --checkpoint"):
        shop.audit(AsOf(time=then - 5), base=base)
    with pytest.raises(CannotTell, match="without --checkpoint"):
        shop.audit(AsOf(offset=FIRST), base=base)


def test_an_earlier_state_of_an_inbox_that_was_cut_cannot_be_told(shop: AuditWorld) -> None:
    place, _ = shop.find(topics.PAYMENT, "PaymentRequested")
    shop.keep_from(place, 1)
    with pytest.raises(CannotTell, match="begins at offset 1"):
        shop.audit(AsOf(time=shop.now))
