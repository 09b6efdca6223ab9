"""A world that an audit can look at, in memory."""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from saga_app.audit import limits
from saga_app.durable import changelogs
from saga_app.durable.ports import Place
from tests.audit.world import World
from tests.support import profiles  # noqa: F401


@pytest.fixture(autouse=True)
def quick_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """An audit opens some fifty small databases; here each waits for no disk."""
    if Path("/dev/shm").is_dir():
        monkeypatch.setattr(tempfile, "tempdir", "/dev/shm")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Empty topics, which the audit reads instead of Kafka's."""
    world = World()

    def chunks(
        config: Any, topic: str, partition: int, start: int, end: int, isolation: str = ""
    ) -> Iterator[Any]:
        log = [each for each in world.logs[topic, partition] if start <= each.offset() < end]
        yield from (log[at : at + 3] for at in range(0, len(log), 3))

    def ends(admin: Any, places: Iterable[Place]) -> dict[Place, int]:
        return {place: world.end(place) for place in places}

    def beginnings(admin: Any, places: Iterable[Place]) -> dict[Place, int]:
        return {place: world.first(place) for place in places}

    def after(admin: Any, places: Iterable[Place], time: int) -> dict[Place, int]:
        later = {place: [each.offset() for each in world.logs[place] if each.time > time] for place in places}
        return {place: offsets[0] for place, offsets in later.items() if offsets}

    monkeypatch.setattr(changelogs, "chunks", chunks)
    monkeypatch.setattr(changelogs, "readable_ends", ends)
    monkeypatch.setattr(changelogs, "beginnings", beginnings)
    monkeypatch.setattr(changelogs, "after", after)
    monkeypatch.setattr(limits, "AdminClient", lambda config: None)
    monkeypatch.setattr(limits, "committed", lambda admin, group, places, seconds: dict(world.committed))
    return world
