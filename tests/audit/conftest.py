"""Topics in memory for the tests of the audit."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.audit.reading import reading
from tests.audit.world import AuditWorld
from tests.support import profiles  # noqa: F401


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
