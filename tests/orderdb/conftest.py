"""An empty database for each test, of each kind, and topics that a real worker has filled."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from harness.postgres import MISSING, Postgres, binaries, server
from harness.scene import Scene, clear
from saga_app.local.broker import Broker
from saga_app.settings import Settings
from tests.orderdb.batches import OrderCopy
from tests.orderdb.filled import fill

_numbers = count(1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each test on the second database waits for the full run, but for the one that promises both."""
    for item in items:
        found = getattr(item, "callspec", None)
        if found and found.params.get("url") == "postgresql" and not item.get_closest_marker("promise"):
            item.add_marker(pytest.mark.slow("the same on PostgreSQL"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running PostgreSQL; without one the test is skipped."""
    if binaries() is None:
        pytest.skip(MISSING)
    yield from server()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database, as SAGA_DB_URL has it: of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/orders.db"
    server: Postgres = request.getfixturevalue("postgres")
    return server.create(f"test_{next(_numbers)}")


@pytest.fixture
def copy(url: str) -> Iterator[OrderCopy]:
    """An order database that takes batches without Kafka."""
    copy = OrderCopy(url)
    yield copy
    copy.close()


@pytest.fixture(scope="session")
def _filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with Broker(tmp_path_factory.mktemp("kafka")) as broker:
        scene = Scene(broker.address, tmp_path_factory.mktemp("scene"), "books")
        try:
            fill(scene)
            yield scene
        finally:
            scene.close()


@pytest.fixture
def filled(_filled: Scene, url: str) -> Settings:
    """Topics with all kinds of orders and dead letters, to which nobody writes any more, and an empty database."""
    return Settings(broker=_filled.broker, app_id=_filled.app_id, db_url=url)


@pytest.fixture
def shop(_filled: Scene) -> Scene:
    """The same topics, for tests that read them in another way, or need no database of each kind."""
    return _filled


@pytest.fixture
def scene(kafka: Broker, tmp_path: Path) -> Iterator[Scene]:
    """Fresh, empty topics of the test's own."""
    clear(kafka.address)
    scene = Scene(kafka.address, tmp_path, f"copy-{next(_numbers)}")
    try:
        yield scene
    finally:
        scene.close()
