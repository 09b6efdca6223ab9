"""Pages of a filled shop; a browser for each module that asks for one."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from saga_app.times import now
from tests.web.chromium import WatchedPage, launched
from tests.web.shop import FilledShop, PageServer, served


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FilledShop]:
    """Some of everything, placed in the last ten minutes."""
    shop = FilledShop(f"sqlite:///{tmp_path_factory.mktemp('shop')}/orders.db", now() - 600_000)
    shop.fill()
    yield shop
    shop.close()


@pytest.fixture(scope="module")
def server(shop: FilledShop) -> Iterator[PageServer]:
    with served(shop.settings) as server:
        yield server


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Ends with its module: Playwright leaves a loop in this thread, and other tests want theirs."""
    with sync_playwright() as playwright:
        browser = launched(playwright)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser, server: PageServer) -> Iterator[Any]:
    """Opens a page of the server; fails at the end where it asked for anything elsewhere or complained."""
    watched: list[WatchedPage] = []

    def open_it(path: str, **options: Any) -> Any:
        one = WatchedPage(chromium, server.url, **options)
        watched.append(one)
        one.page.goto(server.url + path)
        return one.page

    yield open_it
    for each in watched:
        each.close()
