"""`saga rebuild --from-inboxes` on a real broker: every row comes back, and no worker decides on rows that are lost."""

from collections.abc import Callable

import pytest

from harness.log import until
from harness.orders import orders, supplies
from harness.scene import Scene
from saga_app import topics
from saga_app.engine.commit_note import REBUILDING
from saga_app.engine.exits import Exit
from saga_app.kafka import topic_admin
from saga_app.kafka.commit_notes import committed_notes
from saga_app.kafka.consumer_group import ConsumerGroup
from saga_app.rebuild import rebuild as rebuilding
from saga_app.settings import Settings
from tests.live.commands import invariants, saga


def delete(scene: Scene, *tables: str) -> None:
    """Deletes the changelogs of these tables, as an operator's mistake does."""
    names = [topics.changelog(scene.app_id, table) for table in tables]
    topic_admin.delete(Settings(broker=scene.broker), names)


def metadata(scene: Scene) -> set[str]:
    """The texts beside the group's committed offsets."""
    places = [(topic, 0) for topic in topics.INBOXES]
    settings = Settings(broker=scene.broker, app_id=scene.app_id)
    return {text for _, text in committed_notes(settings, places).values()}


class Killed(BaseException):
    """kill -9."""


def killed_at(words: str) -> Callable[[str], None]:
    """Stops a rebuild where it says this."""

    def progress(said: str) -> None:
        if said.endswith(words):
            raise Killed

    return progress


@pytest.mark.slow(
    "a rebuild that is stopped twice, and an audit; the simulator rebuilds in every run of its seeds"
)
def test_a_rebuild_that_was_killed_is_run_again_and_every_row_is_there(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.shop.send(supplies())
    worker = scene.worker("w1").start()
    scene.feed(orders(60), until_ended=60)
    scene.log.wait_until_quiet()
    refused = saga(scene, "rebuild", "--from-inboxes", "--yes")
    assert refused.code == 1 and "stop all workers first" in refused.error
    worker.end()
    before = scene.ledger()
    delete(scene, "payments", "accounts")

    settings = Settings(broker=scene.broker, app_id=scene.app_id)
    monkeypatch.setattr("saga_app.rebuild.write._REPORT_EVERY", 100)
    with rebuilding.planned(settings, None, 1, print) as plan:
        assert {each.table for each in plan.losses if each.lost} == {"payments", "accounts"}
        for words in ("making the changelogs anew", "rows written"):
            with pytest.raises(Killed):
                rebuilding.carry_out(plan, killed_at(words))
            assert metadata(scene) == {REBUILDING}
    assert scene.ledger().logged != before.logged
    assert worker.start().wait_for_end() == Exit.ROWS_LOST
    assert "`saga rebuild --from-inboxes` is at work, or was stopped: run it again" in worker.last_words()
    group = ConsumerGroup(settings)
    until(lambda: group.members().number == 0, 60, lambda: "the worker that ended is still a member")

    done = saga(scene, "rebuild", "--from-inboxes", "--yes")
    assert done.code == 0, done
    assert "audit: what was checked holds" in done.out
    assert scene.ledger().logged == before.logged
    assert not metadata(scene) & {REBUILDING, ""}

    worker.start().ready()
    scene.feed(orders(30, prefix="new"), until_ended=30)
    scene.prove()
    worker.end()
    audit = saga(scene, "audit", "--json", "--data-dir", str(worker.data))
    assert audit.code == 0, audit
    found = invariants(audit)["I5"]
    undone = found["unchecked"]["undos that were asked for before the tables were rebuilt"]
    assert 0 < undone < found["figures"]["undos asked for"]
