"""An acknowledged breach counts no more, and every later report says who accepted it and why."""

import json
from pathlib import Path

import pytest

from saga_app import topics
from saga_app.audit import report
from saga_app.audit.acknowledged import NAME, Acknowledgements, NotAcknowledged
from saga_app.audit.checkpoints.folder import NewCheckpoint, latest
from saga_app.audit.findings import MOST_KEPT, Breach, Findings
from tests.audit.world import AuditWorld, bought
from tests.support.examples import delivery, deposit, order, release


@pytest.fixture
def forged(world: AuditWorld) -> AuditWorld:
    """An order, and a release that no service asked for."""
    world.run(delivery("d1", mug=10), deposit("d1")).run(bought("o1"))
    return world.run(release(order("forged", lines=[("mug", 1)])))


def accepted(world: AuditWorld, file: Path) -> Findings:
    """Every breach that an audit finds is acknowledged."""
    known, ids = Acknowledgements.read(file), [each.id for each in world.breaches()]
    findings = world.audit(acknowledged=[*known.ids, *ids])
    known.add(findings, ids, "ada", "a test of ours", 1_700_000_000_000)
    known.write()
    return findings


def test_a_breach_has_the_same_id_in_every_audit_and_another_one_has_another(forged: AuditWorld) -> None:
    first, second = forged.breaches(), forged.breaches()
    assert first and [each.id for each in first] == [each.id for each in second]
    assert len({each.id for each in first}) == len(first)
    breach = Breach("I1", "5 is there, but by the journal it is 6", ("payment_events", 0), field="c1.left")
    for other in (
        breach._replace(invariant="I2"),
        breach._replace(what="5 is there, but by the journal it is 7"),
        breach._replace(offset=0),
    ):
        assert other.id != breach.id


def test_with_all_breaches_acknowledged_an_audit_holds_and_says_whose_word_that_is(
    forged: AuditWorld, tmp_path: Path
) -> None:
    file = tmp_path / NAME
    assert not forged.audit().holds
    assert accepted(forged, file).holds
    known = Acknowledgements.read(file)
    later = forged.audit(acknowledged=known.ids)
    assert later.holds and later.breaches == []
    lines = list(report.as_lines(later, known))
    (line,) = [each for each in lines if each.startswith("I6")]
    assert "ACKNOWLEDGED" in line and "holds" not in line
    assert any("by ada at 2023-11-14T22:13:20.000Z: a test of ours" in each for each in lines)
    (machine,) = [each for each in report.as_json(later, known) if each["invariant"] == "I6"]
    assert machine["holds"] and machine["breaches"] == []
    assert {(each["by"], each["found"]) for each in machine["acknowledged"]} == {("ada", True)}


def test_a_new_breach_counts_beside_acknowledged_ones(forged: AuditWorld, tmp_path: Path) -> None:
    accepted(forged, tmp_path / NAME)
    known = Acknowledgements.read(tmp_path / NAME)
    forged.run(release(order("another", lines=[("mug", 1)])))
    found = forged.audit(acknowledged=known.ids)
    assert not found.holds and {each.order for each in found.breaches} == {"another"}
    assert any("BROKEN" in each for each in report.as_lines(found, known))


def test_an_acknowledged_breach_that_is_not_found_any_more_is_still_in_the_report(
    forged: AuditWorld, tmp_path: Path
) -> None:
    """As where an audit goes on from a checkpoint behind it."""
    accepted(forged, tmp_path / NAME)
    known = Acknowledgements.read(tmp_path / NAME)
    nothing = Findings()
    assert "not found by this audit: I6" in "\n".join(report.as_lines(nothing, known))
    machine = [each for line in report.as_json(nothing, known) for each in line["acknowledged"]]
    assert [each["found"] for each in machine] == [False] * len(known.ids)


def test_checkpoints_go_on_behind_acknowledged_breaches_and_keep_telling_of_them(
    forged: AuditWorld, tmp_path: Path
) -> None:
    folder = tmp_path / "audits"
    accepted(forged, tmp_path / NAME)
    known = Acknowledgements.read(tmp_path / NAME)
    with NewCheckpoint(folder) as new:
        forged.audit(target=new.path, acknowledged=known.ids)
        new.publish()
    forged.run(bought("later"))
    found = forged.audit(base=latest(folder), acknowledged=known.ids)
    assert found.holds
    told = {each.id for each in found.acknowledged} | {each.id for each in known.not_in(found)}
    assert told == known.ids
    forged.run(release(order("another", lines=[("mug", 1)])))
    assert not forged.audit(base=latest(folder), acknowledged=known.ids).holds


def test_breaches_beyond_those_that_are_kept_cannot_be_acknowledged() -> None:
    findings = Findings()
    for number in range(MOST_KEPT + 1):
        findings.breach(Breach("I6", f"number {number}", (topics.PAYMENT, 0), number))
    findings.acknowledge({each.id for each in findings.breaches})
    assert (len(findings.acknowledged), findings.broken["I6"], findings.holds) == (MOST_KEPT, 1, False)


def test_an_id_that_no_breach_has_acknowledges_nothing(forged: AuditWorld, tmp_path: Path) -> None:
    known, (first, *_) = Acknowledgements.read(tmp_path / NAME), forged.breaches()
    findings = forged.audit(acknowledged=[first.id, "0" * 12])
    with pytest.raises(NotAcknowledged, match="has not found a breach 000000000000"):
        known.add(findings, [first.id, "0" * 12], "ada", "why", 1)
    assert not (tmp_path / NAME).exists()


def test_a_damaged_file_is_named_with_its_line(forged: AuditWorld, tmp_path: Path) -> None:
    file = tmp_path / NAME
    accepted(forged, file)
    good = file.read_text("utf-8")
    for bad in ("{", '{"id": "x"}', json.dumps({**json.loads(good.splitlines()[0]), "why": 5})):
        file.write_text(f"{good}{bad}\n", "utf-8")
        with pytest.raises(NotAcknowledged, match=f"line {len(good.splitlines()) + 1}"):
            Acknowledgements.read(file)
