"""Pictures of the pages for people to look at, and those of the documents: scripts/screenshots [FOLDER]."""

import sys
import tempfile
from pathlib import Path
from shutil import copyfile
from typing import Final

from playwright.sync_api import Browser, sync_playwright

from saga_app.times import now
from saga_app.tokens import TokenFile, TokenScope
from saga_app.web.visitors import SESSION
from tests.web.chromium import launched
from tests.web.shop import FilledShop, served

PAGES: Final = {
    "overview": "/",
    "orders": "/orders/",
    "order": "/orders/undelivered/",
    "waiting": "/orders/waiting/",
    "stock": "/stock/",
    "article": "/stock/MUG/",
    "accounts": "/accounts/",
    "dead-letters": "/dead-letters/",
    "letter": "/dead-letters/checkout_events:3:65/",
    "account": "/accounts/ada/",
    "topology": "/topology/",
    "operator-log": "/operator-log/",
}
#: Where visitors log in: the form, and what somebody sees who may only look.
LOGGED_IN: Final = {"login": "/login/", "looking": "/orders/waiting/"}
#: The pictures of the documents, light and wide.
DOCUMENTED: Final = ("overview", "orders", "order")
IMAGES: Final = Path(__file__).parents[2] / "docs" / "images"


def take(folder: Path) -> None:
    """Each page in light and dark, wide and narrow."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        shop = FilledShop(f"sqlite:///{place}/orders.db", now() - 400_000)
        shop.fill()
        browser = launched(playwright)
        with served(shop.settings) as server:
            for name, path in PAGES.items():
                _picture(browser, server.url + path, folder / name)
        file = Path(place) / "tokens"
        token = TokenFile(str(file)).add("lena", [TokenScope.READ], None)
        with served(shop.settings, web_login="tokens", api_tokens_file=str(file)) as server:
            for name, path in LOGGED_IN.items():
                _picture(browser, server.url + path, folder / name, "" if name == "login" else token)
        browser.close()
        shop.close()
    for name in DOCUMENTED:
        copyfile(folder / f"{name}-light-1280.png", IMAGES / f"{name}.png")


def _picture(browser: Browser, url: str, file: Path, token: str = "") -> None:
    """One page in all forms, with this session."""
    for scheme in ("light", "dark"):
        for width in (1280, 360):
            page = browser.new_page(
                viewport={"width": width, "height": 800},
                color_scheme="dark" if scheme == "dark" else "light",
            )
            if token:
                page.context.add_cookies(
                    [{"name": SESSION, "value": token, "domain": "127.0.0.1", "path": "/"}]
                )
            page.goto(url)
            if page.locator("#live-state").count():
                page.get_by_text("Live.", exact=True).wait_for()
            page.screenshot(path=file.with_name(f"{file.name}-{scheme}-{width}.png"), full_page=width < 400)
            page.close()


if __name__ == "__main__":
    take(Path(sys.argv[1] if len(sys.argv) > 1 else ".run/screenshots"))
