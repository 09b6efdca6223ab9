"""The survey before a rebuild: it refuses where the inboxes do not have everything, or where workers run."""

from collections.abc import Iterable
from typing import NamedTuple

import tables
from saga_app import topics
from saga_app.audit import cuts
from saga_app.audit.checkpoints.checkpoint import Checkpoint
from saga_app.audit.cuts import CannotTell, Limits
from saga_app.audit.dead_letters import look_for_signatures
from saga_app.core.numbers import Offset
from saga_app.engine.commit_note import REBUILDING, UNFINISHED
from saga_app.kafka import offsets, topic_admin
from saga_app.kafka.broker_errors import Admin
from saga_app.kafka.commit_notes import committed_notes
from saga_app.kafka.consumer_group import ConsumerGroup
from saga_app.kafka.messages import Place
from saga_app.kafka.topic_faults import FaultKind
from saga_app.rebuild.replaced import has_younger_records, is_advancing, is_another, reached
from saga_app.settings import Settings
from saga_app.topics import Topic


class CannotRebuild(Exception):
    """Nothing was changed, or the rebuild must be run again; the message says why, where and what to do."""


class Survey(NamedTuple):
    """The inboxes as far as they are folded, and the changelogs that are there, with their ends."""

    limits: Limits
    changelogs: frozenset[str]

    def end_of(self, changelog: Place) -> int:
        """The end of a changelog partition; 0 if the topic is missing."""
        return self.limits.found.get(changelog, 0)


def survey(settings: Settings, base: Checkpoint | None = None) -> Survey:
    """Asks the broker. Raises `CannotRebuild` and `KafkaException`, and `Refused` for a checkpoint of other topics."""
    no_worker_runs(settings)
    _inboxes_are_right(settings)
    admin = Admin(settings)
    logs = changelogs(settings)
    missing = {topic.name for topic in topic_admin.check(settings, logs).missing}
    there = [topic.name for topic in logs if topic.name not in missing]
    known = {} if base is None else base.fitting(settings, cuts.identity_of(settings, topics.INBOXES))
    places = cuts.inboxes(settings)
    notes = committed_notes(settings, places)
    nothing_else_is_unfinished(UNFINISHED[REBUILDING], notes.values())
    committed = {place: offset for place, (offset, _) in notes.items()}
    found = offsets.ends(admin, _places(settings, there))
    end = offsets.readable_ends(admin, places)
    first = offsets.beginnings(admin, places)
    must_know_signatures(settings, admin)
    limits = Limits(first, committed, found, end, known)
    for place in places:
        must_be_whole(limits, place)
    ids = offsets.topic_ids(admin, topics.INBOXES)
    for place, (at, note) in notes.items():
        # Rows above the committed offset are decided again, if their records are there.
        rows = reached(settings, admin, place, there, at) if at < end[place] else None
        if is_another(settings, place, at, note, ids[place[0]]) or (
            rows is not None and has_younger_records(settings, admin, place, rows.times)
        ):
            raise CannotRebuild(
                f"{place[0]}[{place[1]}] lost records, and others have their offsets, so a rebuild would undo what "
                "followed from them; `saga advance` goes on behind them (docs/how-to/recover.md)"
            )
    return Survey(limits, frozenset(there))


def no_worker_runs(settings: Settings) -> None:
    """Raises `CannotRebuild` if the consumer group has members."""
    members = ConsumerGroup(settings).members()
    if members.number:
        raise CannotRebuild(
            f"{members.number} members are in the group {settings.app_id!r} ({', '.join(members.hosts)}): stop all "
            "workers first; after a kill -9 a member stays for one session timeout"
        )


def nothing_else_is_unfinished(own: str, committed: Iterable[tuple[Offset, str]]) -> None:
    """Raises `CannotRebuild` if another command than the own one has left its note beside a committed offset."""
    for _, note in committed:
        command = "saga advance" if is_advancing(note) else UNFINISHED.get(note, own)
        if command != own:
            raise CannotRebuild(f"`{command}` was begun and did not end: run that again first")


def changelogs(settings: Settings) -> list[Topic]:
    """The changelog topics of all tables, as they must be."""
    names = {topics.changelog(settings.app_id, table.name) for table in tables.ALL}
    return [topic for topic in tables.wanted_topics(settings) if topic.name in names]


def must_know_signatures(settings: Settings, admin: Admin) -> None:
    """Raises `CannotRebuild` if workers need signatures and these settings do not; it needs no `dead_letters`."""
    if topics.DEAD_LETTERS not in offsets.partition_counts(admin, [topics.DEAD_LETTERS]):
        return
    try:
        look_for_signatures(settings, offsets.readable_ends(admin, _places(settings, [topics.DEAD_LETTERS])))
    except CannotTell as error:
        raise CannotRebuild(str(error)) from error


def _inboxes_are_right(settings: Settings) -> None:
    """They are there, with the right partitions, and Kafka never removes a record from their middle."""
    wanted = [
        Topic(name, settings.partitions, {"cleanup.policy": "delete"}, replication=0)
        for name in topics.INBOXES
    ]
    for name, faults in topic_admin.compare(settings, wanted).items():
        kinds = {fault.kind for fault in faults}
        if any(fault.is_missing for fault in faults):
            raise CannotRebuild(
                f"the inbox {name} is missing on {settings.broker}: the tables follow from the inboxes alone; is "
                "SAGA_BROKER right? Otherwise see docs/how-to/recover.md"
            )
        if kinds & {FaultKind.WEAKER, FaultKind.DIFFERENT}:
            raise CannotRebuild(
                f"the inbox {name}: {'; '.join(fault.text for fault in faults)}; its rows cannot be told from it. Put "
                "it right with `saga topics --alter`; records that are gone come back only from a copy of the topic"
            )


def must_be_whole(limits: Limits, place: Place) -> None:
    """Raises `CannotRebuild` unless every record up to the committed offset is there, or in the checkpoint."""
    topic, partition = place
    done, end, start = limits.committed[place], limits.end[place], limits.start(place)
    if not limits.is_whole(place):
        raise CannotRebuild(
            f"{limits.gap(place)}, so the records before that are gone; give --checkpoint DIR, the checkpoint of an "
            "audit that has read them, or bring the topic back from a copy"
        )
    if done > end:
        raise CannotRebuild(
            f"{topic}[{partition}] ends at offset {end}, but {done} is committed: the inbox lost its last records, and "
            "a rebuild would undo what followed from them; `saga advance` goes on behind them (docs/how-to/recover.md)"
        )
    if start > done:
        raise CannotRebuild(
            f"the checkpoint ends at offset {start} of {topic}[{partition}], behind the committed offset {done}; use "
            "an earlier checkpoint, or none where the inboxes are whole"
        )


def _places(settings: Settings, names: Iterable[str]) -> list[Place]:
    return [(name, partition) for name in names for partition in range(settings.partitions)]
