"""The distribution's Chromium, driven by Playwright."""

import os
import shutil
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Request

#: By what it is called in distributions.
NAMES: Final = ("chromium", "chromium-browser", "google-chrome")


def launched(playwright: Playwright) -> Browser:
    """A headless Chromium; where there is none the test is skipped, in CI it fails."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("there is no Chromium (Debian, Ubuntu: sudo apt-get install chromium)")
    # Root has no sandbox of its own; what is opened is ours.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    return playwright.chromium.launch(executable_path=found, args=arguments)


class WatchedPage:
    """A page whose requests and complaints are written down."""

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self.url = url
        self.context = browser.new_context(**options)
        self.page: Page = self.context.new_page()
        self.elsewhere: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", self._requested)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))

    def _requested(self, request: Request) -> None:
        if not request.url.startswith((f"{self.url}/", "data:")):
            self.elsewhere.append(request.url)

    def _said(self, message: ConsoleMessage) -> None:
        # A page that is not there is told by its status too.
        if (
            message.type in ("error", "warning")
            and "the server responded with a status of" not in message.text
        ):
            self.complaints.append(message.text)

    def check(self) -> None:
        """Nothing was asked of another machine, nothing was blocked, nothing failed."""
        assert not self.elsewhere, f"asked elsewhere: {self.elsewhere}"
        assert not self.complaints, f"the browser complained: {self.complaints}"

    def close(self) -> None:
        self.context.close()
        self.check()
