"""Live tests need a real broker; every one begins with empty topics and ends with no process of its own."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from harness.scene import Scene, clear
from saga_app.local.broker import Broker

HERE = Path(__file__).parent
_numbers = count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("live")


@pytest.fixture
def no_topics(kafka: Broker) -> Broker:
    """A broker without any topic."""
    clear(kafka.address)
    return kafka


@pytest.fixture
def scene(no_topics: Broker, tmp_path: Path) -> Iterator[Scene]:
    """Fresh topics, and a group and changelogs of this test's own: no member of an earlier test delays it."""
    scene = Scene(no_topics.address, tmp_path, f"live-{next(_numbers)}")
    try:
        yield scene
    finally:
        scene.close()
