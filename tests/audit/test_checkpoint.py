"""An audit that goes on from a checkpoint finds what one from the beginning finds, whatever happened in between."""

import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from saga_app import topics
from saga_app.audit.checkpoints.checkpoint import MANIFEST, Refused
from saga_app.audit.checkpoints.folder import FolderLocked, NewCheckpoint, latest
from saga_app.audit.cuts import AsOf, CannotTell
from saga_app.audit.findings import Findings
from saga_app.commands.audit import base_in_words
from saga_app.core.numbers import FIRST, Offset
from saga_app.core.records import Record
from saga_app.kafka.messages import Outgoing
from tests.audit.reading import reading
from tests.audit.world import PARTITIONS, AuditWorld, bought
from tests.support.examples import (
    cancel,
    cancelled,
    deadline,
    delivery,
    deposit,
    limit,
    order,
    release,
)
from tests.support.profiles import examples


@pytest.fixture
def shop(world: AuditWorld) -> AuditWorld:
    """Orders that ended, one that was undone, a bad record, and somebody else's among the dead letters."""
    world.send(b"{", topics.PAYMENT, 0)
    world.append(Outgoing(topics.DEAD_LETTERS, b"k", b"foreign", 0))
    world.run(delivery("d1", mug=10, cup=2), deposit("d1", "100.00"))
    return world.run(bought("first"), bought("far", country="NZ"), bought("dear", "2000.00"))


def content(findings: Findings) -> tuple[Any, ...]:
    """The content of findings, to compare two audits."""
    figures = {invariant: +figures for invariant, figures in findings.figures.items()}
    return figures, sorted(map(str, findings.breaches)), findings.broken


def same(world: AuditWorld, folder: Path) -> Findings:
    """The findings from the checkpoint, after a comparison with those from the beginning."""
    assert latest(folder) is not None
    whole, found = world.audit(), world.audit(base=latest(folder))
    assert content(found) == content(whole)
    assert all(found.unchecked[each] <= whole.unchecked[each] for each in whole.unchecked)
    return found


# Findings


#: Records of people and timers; those of one order come in any sequence.
RECORDS: list[Record | bytes] = [
    delivery("d1", mug=3, cup=1),
    deposit("d1", "30.00"),
    deposit("d1", "30.00"),
    deposit("d1", "31.00"),
    limit("p1", "15.00"),
    limit("p2", "1000.00"),
    bought("plain"),
    bought("plain"),
    bought("plain", "11.00"),
    bought("far", country="NZ"),
    bought("two", cup=2),
    bought("dear", "20.00"),
    cancel("plain"),
    cancel("far"),
    deadline("plain", 0),
    deadline("plain", 1, last=True),
    deadline("far", 0),
    b"{",
]
KINDS = ["decide", "crash", "again", "audit", "audit, busy", "evict", "purge"]
STEPS = st.lists(
    st.one_of(
        st.sampled_from(RECORDS),
        st.tuples(st.sampled_from(KINDS), st.integers(0, 20)),
    ),
    min_size=5,
    max_size=60,
)


def step(world: AuditWorld, what: str, number: int) -> None:
    """One thing that a worker does or meets."""
    waiting = world.waiting()
    if what in ("evict", "purge"):
        world.evict(purge=what == "purge")
    elif what == "again":
        # The group's offset is lower than what was done: the worker was killed before it was committed.
        places = [place for place, at in world.committed.items() if at]
        if places:
            place = places[number % len(places)]
            world.committed[place] = Offset(world.committed[place] - 1)
    elif waiting:
        world.decide(waiting[number % len(waiting)], crashes=what == "crash")


def live(world: AuditWorld, steps: list[Any], folder: Path) -> None:
    """A history, with audits in between, each from the checkpoint of the one before."""
    for each in steps:
        match each:
            case ("audit", _):
                assert world.checkpointed(folder).holds
            case ("audit, busy", number):
                audit_while_busy(world, folder, number)
            case (str() as what, number):
                step(world, what, number)
            case bytes():
                world.send(each, topics.PAYMENT, 0)
            case _:
                world.send(each)


def audit_while_busy(world: AuditWorld, folder: Path, number: int) -> None:
    """While an audit takes its limits, partition by partition, orders are placed and decided."""
    numbers = itertools.count(number)

    def work() -> None:
        if (now := next(numbers)) % 7 == 0:
            world.send(bought(f"meanwhile-{world.now}"))
        step(world, "decide", now)

    world.meanwhile = work
    assert world.checkpointed(folder).holds
    world.meanwhile = lambda: None


@pytest.mark.slow("rows of audits under every sequence that Hypothesis finds")
@examples(12)
@for_all(order_ids=st.lists(st.sampled_from(["plain", "far", "two", "dear"]), min_size=3), steps=STEPS)
def test_audits_in_a_row_say_the_same_while_orders_are_evicted(
    order_ids: list[str], steps: list[Any]
) -> None:
    with reading(AuditWorld()) as world, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world.evict().run(delivery("d1", mug=3, cup=1), deposit("d1", "30.00"))
        for order_id in order_ids:
            world.run(bought(order_id, country="NZ" if order_id == "far" else "GB"))
        live(world, [*steps, ("evict", 0), ("audit", 0)], folder)
        same(world, folder)
        world.run()
        world.evict(purge=True).run().evict(purge=True).run()
        assert same(world, folder).holds


@pytest.mark.slow("rows of audits under every sequence that Hypothesis finds")
@examples(12)
@for_all(steps=STEPS)
def test_audits_in_a_row_say_what_one_audit_of_everything_says(steps: list[Any]) -> None:
    with reading(AuditWorld()) as world, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        live(world, [*RECORDS[:2], *steps, ("audit", 0)], folder)
        same(world, folder)
        world.run()
        assert same(world, folder).holds


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


def test_a_late_copy_of_an_old_request_comes_from_somewhere(shop: AuditWorld, tmp_path: Path) -> None:
    place, asked = shop.find(topics.PAYMENT, "PaymentRequested")
    shop.checkpointed(tmp_path)
    shop.append(Outgoing(place[0], asked.sent_key, asked.sent_value, place[1]))
    shop.run()
    assert same(shop, tmp_path).holds


# Topics without their beginning


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


# The files


def test_audits_in_a_row_are_counted(shop: AuditWorld, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        shop.checkpointed(tmp_path)
        checkpoint = latest(tmp_path)
        assert checkpoint is not None
        assert (checkpoint.path.name, checkpoint.manifest.audits) == (f"checkpoint-{number:06}", number)
    assert len(list(tmp_path.glob("checkpoint-*"))) == 1, "the old ones are gone"


def test_an_audit_says_what_it_stands_on(shop: AuditWorld, tmp_path: Path) -> None:
    said = []
    for _ in range(2):
        shop.checkpointed(tmp_path)
        checkpoint = latest(tmp_path)
        assert checkpoint is not None
        said.append(base_in_words(checkpoint))
    assert said[0].endswith("itself checked from the first record")
    assert "from an earlier checkpoint; the first of 2 audits in a row was on 2" in said[1]


def files(folder: Path) -> list[str]:
    checkpoint = latest(folder)
    assert checkpoint is not None
    return sorted(path.name for path in checkpoint.path.iterdir())


def test_every_file_that_is_damaged_missing_or_foreign_is_named(shop: AuditWorld, tmp_path: Path) -> None:
    shop.checkpointed(tmp_path)
    (path,) = tmp_path.glob("checkpoint-*")
    for name in files(tmp_path):
        whole = (path / name).read_bytes()
        for content in (whole[:-1], b"x" + whole[1:], None):
            if content == whole:
                continue
            (path / name).unlink()
            if content is not None:
                (path / name).write_bytes(content)
            with pytest.raises(Refused, match=name):
                latest(tmp_path)
            (path / name).write_bytes(whole)
    (path / "wanted-9.run").write_bytes(b"")
    with pytest.raises(Refused, match=r"wanted-9\.run is not its own"):
        latest(tmp_path)


def test_one_number_that_is_changed_in_the_manifest_is_noticed(shop: AuditWorld, tmp_path: Path) -> None:
    shop.checkpointed(tmp_path)
    (path,) = tmp_path.glob("checkpoint-*/manifest.json")
    data = json.loads(path.read_text())
    data["checkpoint"]["offsets"][topics.PAYMENT][0] += 1
    path.write_text(json.dumps(data))
    with pytest.raises(Refused, match="was changed"):
        latest(tmp_path)


def test_a_newer_format_is_refused_and_says_so(shop: AuditWorld, tmp_path: Path) -> None:
    shop.checkpointed(tmp_path)
    (path,) = tmp_path.glob("checkpoint-*/manifest.json")
    data = json.loads(path.read_text())
    data["checkpoint"] = {"format": 2, "whatever": "it has"}
    path.write_text(json.dumps(data))
    with pytest.raises(Refused, match="format 2, not 1; use the version that wrote it"):
        latest(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda world: setattr(world, "cluster", "cluster-2"), "Kafka cluster cluster-1, not cluster-2"),
        (lambda world: world.renewed.add(topics.PAYMENT), "payment_events: deleted, and made again"),
        (lambda world: world.renewed.add(topics.DEAD_LETTERS), "dead_letters: deleted"),
    ],
)
def test_a_checkpoint_of_other_topics_is_refused(
    shop: AuditWorld, tmp_path: Path, change: Callable[[AuditWorld], None], words: str
) -> None:
    shop.checkpointed(tmp_path)
    change(shop)
    with pytest.raises(Refused, match=words):
        shop.checkpointed(tmp_path)


def test_an_audit_goes_on_from_its_checkpoint_after_a_rebuild(shop: AuditWorld, tmp_path: Path) -> None:
    shop.checkpointed(tmp_path)
    shop.rebuild().run(bought("later"))
    findings = shop.checkpointed(tmp_path)
    assert findings.holds and latest(tmp_path).manifest.audits == 2  # type: ignore[union-attr]

    shop.remove(*shop.row("orders", "later"))
    assert shop.checkpointed(tmp_path).broken["I9"]


class Crashed(BaseException):
    """kill -9."""


class CrashingDisk:
    """Lets so many changes of the disk happen, and none after them."""

    def __init__(self, changes: int) -> None:
        self.left = changes

    def change(self, how: Callable[..., Any]) -> Callable[..., Any]:
        def changing(*args: Any, **options: Any) -> Any:
            if self.left == 0:
                raise Crashed
            self.left -= 1
            return how(*args, **options)

        return changing


def publish(folder: Path, content: Path, changes: int) -> bool:
    """Publishes a copy of this content; False if it crashed."""
    disk = CrashingDisk(changes)
    with pytest.MonkeyPatch.context() as patch, suppress(Crashed):
        with NewCheckpoint(folder) as new:
            shutil.copytree(content, new.path, dirs_exist_ok=True)
            for module, name in ((os, "fsync"), (shutil, "rmtree"), (Path, "rename")):
                patch.setattr(module, name, disk.change(getattr(module, name)))
            new.publish()
        return True
    return False


def test_a_crash_at_any_moment_leaves_the_old_one_or_the_new_one(shop: AuditWorld, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    shop.checkpointed(old)
    shutil.copytree(old, new)
    shop.run(bought("o9"))
    shop.checkpointed(new)
    (newer,) = new.glob("checkpoint-*")
    found = []
    for changes in itertools.count():
        folder = tmp_path / str(changes)
        shutil.copytree(old, folder)
        went_well = publish(folder, newer, changes)
        checkpoint = latest(folder)
        assert checkpoint is not None
        found.append(checkpoint.manifest.audits)
        with NewCheckpoint(folder) as unused:
            assert [path for path in folder.glob(".unfinished-*") if path != unused.path] == [], (
                "nothing is left over"
            )
        if went_well:
            break
    assert len(found) > len(files(new)) and set(found) == {1, 2} and found == sorted(found)


def test_two_audits_do_not_work_with_one_folder(tmp_path: Path) -> None:
    with NewCheckpoint(tmp_path), pytest.raises(FolderLocked, match="another audit"), NewCheckpoint(tmp_path):
        pass
    with NewCheckpoint(tmp_path) as again:
        assert not again.is_whole and (tmp_path / again.path.name / MANIFEST).parent.is_dir()


def test_a_row_under_way_at_a_checkpoint_is_compared_with_its_committed_version_later(
    shop: AuditWorld, tmp_path: Path
) -> None:
    partition = topics.partition_of("late", PARTITIONS)
    shop.send(bought("late"))
    shop.decide((topics.CHECKOUT, partition))
    while waiting := [place for place in shop.waiting() if place[0] != topics.CHECKOUT]:
        shop.decide(waiting[0])
    assert shop.checkpointed(tmp_path).holds
    assert shop.checkpointed(tmp_path).holds
    shop.remove(*shop.row("orders", "late"))
    lacking = [each for each in shop.checkpointed(tmp_path).breaches if each.order == "late"]
    assert [each.invariant for each in lacking] == ["I9"]
