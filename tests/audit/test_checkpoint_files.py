"""The files of a checkpoint: counted, damaged, of other topics, cut off by a crash."""

import itertools
import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from saga_app import topics
from saga_app.audit.checkpoints.checkpoint import MANIFEST, Refused
from saga_app.audit.checkpoints.folder import FolderLocked, NewCheckpoint, latest
from saga_app.commands.audit import base_in_words
from tests.audit.world import AuditWorld, bought


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
