"""Who may ask and who may change something: headers of every answer, and checks of every request."""

import hmac
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from saga_app.settings import LOOPBACK, Settings

#: No page loads or runs anything that this server has not sent as a file, and none can be framed.
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Guard:
    """The rules of one worker's web server.

    Bound to loopback it answers to loopback's names only: a page from elsewhere whose name is made to point here would
    read orders otherwise (DNS rebinding). Bound elsewhere it cannot know its names, so whatever changes something needs
    the token, and without a token in the settings nothing can be changed.
    """

    def __init__(self, settings: Settings) -> None:
        self.is_local = settings.is_web_local
        self.token = settings.web_token
        self._names = {*LOOPBACK, urlsplit(settings.canonical_url).hostname or ""}

    @property
    def can_change(self) -> bool:
        """Whether changing something is offered at all."""
        return self.is_local or bool(self.token)

    @property
    def wants_token(self) -> bool:
        """Whether it takes the token."""
        return bool(self.token)

    async def prepare(self, request: web.Request, response: web.StreamResponse) -> None:
        """Puts the headers on an answer; for `on_response_prepare`."""
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Turns away what may not be asked."""
        if self.is_local and _host(request.headers.get("Host", "")) not in self._names:
            raise web.HTTPMisdirectedRequest(text="this worker answers to its own address only\n")
        return await handler(request)

    def check_change(self, request: web.Request, token: str) -> None:
        """`HTTPForbidden`, with a sentence, unless this request may change something."""
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.headers.get("Host"):
            raise web.HTTPForbidden(text="The request came from another site's page.")
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            raise web.HTTPForbidden(text="The request came from another site's page.")
        if not self.can_change:
            raise web.HTTPForbidden(
                text="This worker's pages can be reached from other machines, and SAGA_WEB_TOKEN is not set: "
                "nothing can be changed here. Use the commands, or set it."
            )
        if self.token and not hmac.compare_digest(token.encode(), self.token.encode()):
            raise web.HTTPForbidden(text="The token is not the one in SAGA_WEB_TOKEN.")


def _host(header: str) -> str:
    """The name in a Host header, without its port."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""
