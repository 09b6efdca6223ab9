"""The notes that keep workers out while a command is at work, and those that let them in at its end."""

import time
from collections.abc import Iterable, Mapping

from saga_app.audit.refold import service_of
from saga_app.core.numbers import Offset
from saga_app.engine.commit_note import CommitNote, InboxMark, note_in
from saga_app.engine.stores.extent import Demand, Extent, LogRange
from saga_app.kafka import offsets
from saga_app.kafka.broker_errors import Admin
from saga_app.kafka.commit_notes import Committed, GroupHasMembers, commit_offsets
from saga_app.kafka.messages import Place
from saga_app.rebuild.survey import CannotRebuild
from saga_app.settings import Settings
from saga_app.topics import changelog


def keep_out(settings: Settings, wanted: Committed) -> None:
    """Commits offsets with notes that keep workers out. Raises `CannotRebuild` if workers do not stay away.

    A worker that was started meanwhile ends by itself; the group knows it for one session timeout more.
    """
    end = time.monotonic() + settings.timeouts.session + 5
    while True:
        try:
            commit_offsets(settings, wanted)
        except GroupHasMembers as error:
            if time.monotonic() > end:
                raise CannotRebuild(f"{error}: stop all workers, then run this command again") from error
        else:
            return
        time.sleep(0.5)


def release(settings: Settings, committed: Mapping[Place, Offset]) -> None:
    """Commits these offsets with notes that let workers in. Raises `CannotRebuild` if workers do not stay away.

    From now on the changelogs and inboxes are those that are there: disks that follow others are emptied.
    """
    notes = _notes(settings, committed)
    keep_out(settings, {place: (at, notes[place].encode()) for place, at in committed.items()})


def _notes(settings: Settings, inboxes: Iterable[Place]) -> dict[Place, CommitNote]:
    """The notes that workers compare with from now on: inboxes and changelogs as they are."""
    admin, inboxes = Admin(settings), list(inboxes)
    logs = {
        (topic, partition): [
            (table, (changelog(settings.app_id, table), partition)) for table in service_of(topic).tables
        ]
        for topic, partition in inboxes
    }
    places = [place for found in logs.values() for _, place in found]
    ids = offsets.topic_ids(admin, {topic for topic, _ in [*inboxes, *places]})
    begins, ends = offsets.beginnings(admin, places), offsets.ends(admin, places)
    epochs = offsets.leader_epochs(admin, inboxes)
    return {
        inbox: CommitNote(
            InboxMark(ids[inbox[0]], epochs[inbox]),
            {
                table: Demand(Extent(ids[place[0]], begins[place], ends[place]))
                for table, place in logs[inbox]
            },
        )
        for inbox in inboxes
    }


def must_have_all_rows(settings: Settings, committed: Committed) -> None:
    """Raises `CannotRebuild` if a changelog has less than the note of the last commit says."""
    present = _notes(settings, committed)
    for inbox, (_, note) in committed.items():
        known = note_in(note)
        for table, demand in ({} if known is None else known.tables).items():
            why = LogRange(*present[inbox].tables[table].extent[:3]).lacks(demand.extent)
            if why or demand.is_lost:
                log, why = changelog(settings.app_id, table), why or "some are being written again"
                raise CannotRebuild(
                    f"{log}[{inbox[1]}] lost rows ({why}): first start the worker whose disk has them; without one see "
                    "docs/how-to/recover.md, A whole cluster"
                )
