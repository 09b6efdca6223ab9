"""Lets the audit read topics in memory instead of Kafka's."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from saga_app.audit import cuts, dead_letters, log
from saga_app.audit.checks import changelog as audited_changelog
from saga_app.audit.checks import outcomes as audited_outcomes
from saga_app.audit.cuts import AsOf
from saga_app.audit.findings import Breach
from saga_app.audit.history import reader as history_reader
from saga_app.core.numbers import FIRST, Offset
from saga_app.engine.stores import changelog
from saga_app.kafka import batches, offsets
from saga_app.kafka.batches import Missing
from saga_app.kafka.messages import Place
from tests.audit.world import PARTITIONS, AuditWorld


@contextmanager
def reading(world: AuditWorld) -> Iterator[AuditWorld]:
    """Answers every question that an audit asks Kafka from this world."""

    def chunks(
        config: Any, topic: str, partition: int, start: int, end: int, isolation: str = ""
    ) -> Iterator[Any]:
        records = [each for each in world.logs[topic, partition] if start <= each.offset() < end]
        yield from (records[at : at + 3] for at in range(0, len(records), 3))

    def ends(admin: Any, places: Iterable[Place]) -> dict[Place, Offset]:
        found = {}
        for place in places:
            found[place] = world.end(place)
            world.meanwhile()
        return found

    def committed(settings: Any, group: str, places: Iterable[Place], seconds: float) -> dict[Place, Offset]:
        found = {place: world.committed.get(place, FIRST) for place in places}
        world.meanwhile()
        return found

    def beginnings(admin: Any, places: Iterable[Place]) -> dict[Place, Offset]:
        return {place: world.first(place) for place in places}

    def after(admin: Any, places: Iterable[Place], time: int) -> dict[Place, int]:
        later = {place: [each.offset() for each in world.logs[place] if each.time > time] for place in places}
        return {place: found[0] for place, found in later.items() if found}

    def topic_ids(admin: Any, names: Iterable[str]) -> dict[str, str]:
        return {name: world.topic_id(name) for name in names}

    answers = (beginnings, after, topic_ids)
    with pytest.MonkeyPatch.context() as patch:
        for module in (log, dead_letters, audited_changelog, audited_outcomes, history_reader, changelog):
            patch.setattr(module, "chunks", chunks)
        for answer in answers:
            patch.setattr(offsets, answer.__name__, answer)
        patch.setattr(batches, "missing", missing_in(world))
        patch.setattr(offsets, "partition_counts", partition_counts_in(world))
        patch.setattr(offsets, "readable_ends", ends)
        patch.setattr(offsets, "cluster_id", lambda admin: world.cluster)
        patch.setattr(cuts, "AdminClient", lambda config: None)
        patch.setattr(cuts, "committed", committed)
        yield world


def partition_counts_in(world: AuditWorld) -> Callable[..., dict[str, int]]:
    """Tells how many partitions a topic has."""
    return lambda admin, names: {name: PARTITIONS + (name in world.added) for name in names}


def missing_in(world: AuditWorld) -> Callable[..., Missing]:
    """Finds the offsets of a place that hold neither a record nor a marker."""

    def missing(settings: Any, place: Place, start: Offset, end: Offset) -> Missing:
        there = {each.offset() for each in world.logs[place]} | world.markers[place]
        gone = [each for each in range(start, end) if each not in there]
        return Missing(len(gone), Offset(gone[0] if gone else end))

    return missing


def figures(world: AuditWorld, invariant: str, at: AsOf | None = None) -> dict[str, Any]:
    """The figures that an audit tells about this invariant."""
    return dict(world.audit(at).figures[invariant])


def broken(world: AuditWorld) -> list[str]:
    """The invariants that an audit finds broken."""
    return sorted({breach.invariant for breach in world.breaches()})


def breach(world: AuditWorld, invariant: str) -> Breach:
    """The first breach of this invariant that an audit finds."""
    return next(each for each in world.breaches() if each.invariant == invariant)
