"""Localstripe, once for all tests of a process."""

from collections.abc import Iterator

import pytest

from saga_app.local.stripe.server import local_stripe


@pytest.fixture(scope="session")
def localstripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with local_stripe(tmp_path_factory.mktemp("localstripe")) as address:
        yield address
