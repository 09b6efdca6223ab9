"""A filled shop, and the API in front of it."""

from collections.abc import Iterator

import pytest

from saga_app.times import now
from tests.api.door import Door, opened
from tests.web.shop import FilledShop


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FilledShop]:
    """Some of everything, placed in the last ten minutes."""
    shop = FilledShop(f"sqlite:///{tmp_path_factory.mktemp('api')}/orders.db", now() - 600_000)
    shop.fill()
    yield shop
    shop.close()


@pytest.fixture
def door(shop: FilledShop) -> Iterator[Door]:
    with opened(shop.settings) as door:
        yield door
