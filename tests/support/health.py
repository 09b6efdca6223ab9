"""Readings of a system in which nothing is wrong, for tests that have none."""

import pytest

from saga_app import topics
from saga_app.health import read
from saga_app.health.readings import CopyReading, DatabaseReading, InboxPartition, KafkaReading, Readings
from saga_app.kafka.consumer_group import Members
from saga_app.settings import Settings
from saga_app.times import now


def all_well(settings: Settings) -> Readings:
    """Readings of a system in which nothing is wrong."""
    places = [(topic, each) for topic in topics.INBOXES for each in range(settings.partitions)]
    owners = dict.fromkeys(places, "127.0.0.1 …abcdef")
    inboxes = [InboxPartition(*place, owners[place], 30, 0, None, 0, 0) for place in places]
    kafka = KafkaReading(Members(1, "stable", ["127.0.0.1"], owners), inboxes, CopyReading({}, None))
    return Readings(now(), kafka, "", DatabaseReading({}, now(), 0))


def be_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands of this process read that all is well, and print nothing about it."""
    monkeypatch.setattr(read, "read", lambda settings, *readers: all_well(settings))
