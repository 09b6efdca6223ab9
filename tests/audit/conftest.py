"""Topics in memory for the tests of the audit."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from saga_app import topics
from saga_app.kafka.messages import Outgoing
from tests.audit.reading import reading
from tests.audit.world import AuditWorld, bought
from tests.support import profiles  # noqa: F401
from tests.support.examples import delivery, deposit


@pytest.fixture(autouse=True)
def quick_files(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """An audit opens some fifty small databases; in memory none of them waits for a disk."""
    # pytest's own folder, which all tests share, is chosen before and stays on the disk.
    tmp_path_factory.getbasetemp()
    if Path("/dev/shm").is_dir():
        monkeypatch.setattr(tempfile, "tempdir", "/dev/shm")


@pytest.fixture
def world() -> Iterator[AuditWorld]:
    """Empty topics, which the audit reads instead of Kafka's."""
    with reading(AuditWorld()) as world:
        yield world


@pytest.fixture
def shop(world: AuditWorld) -> AuditWorld:
    """Orders that ended, one that was undone, a bad record, and somebody else's among the dead letters."""
    world.send(b"{", topics.PAYMENT, 0)
    world.append(Outgoing(topics.DEAD_LETTERS, b"k", b"foreign", 0))
    world.run(delivery("d1", mug=10, cup=2), deposit("d1", "100.00"))
    return world.run(bought("first"), bought("far", country="NZ"), bought("dear", "2000.00"))
