"""A shop's database with an outbox table: on a real PostgreSQL, and on SQLite."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from harness.postgres import Postgres
from saga_app.outbox import process
from tests.orderdb.conftest import postgres, scene
from tests.outbox.shop import TABLE, ShopDatabase

__all__ = ["postgres", "scene"]

_numbers = count(1)


@pytest.fixture
def postgres_url(postgres: Postgres) -> str:
    """An empty database."""
    return postgres.create(f"shop_{next(_numbers)}")


@pytest.fixture(params=["postgresql", "sqlite"])
def shop_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/shop.db"
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.fixture
def shop(shop_url: str) -> Iterator[ShopDatabase]:
    """A shop with an empty outbox table, on each kind of database."""
    process.create(shop_url, TABLE)
    with ShopDatabase(shop_url) as database:
        yield database


@pytest.fixture
def postgres_shop(postgres_url: str) -> Iterator[ShopDatabase]:
    """The same on PostgreSQL alone."""
    process.create(postgres_url, TABLE)
    with ShopDatabase(postgres_url) as database:
        yield database
