"""Access rules: the security headers of every response, and the checks of every request."""

import hmac
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from saga_app.settings import LOOPBACK, Settings

#: A page loads and runs files of this server only, and no other site can frame it.
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


class AccessRules:
    """The rules of one worker's web server.

    A server bound to loopback answers to the names of loopback only: another site could make its name point here and
    read orders (DNS rebinding). A server bound elsewhere cannot know its names, so every change needs the token. If the
    settings have no token, it allows no change.
    """

    def __init__(self, settings: Settings) -> None:
        self.is_local = settings.is_web_local
        self.token = settings.web_token
        self._names = {*LOOPBACK, urlsplit(settings.canonical_url).hostname or ""}

    @property
    def can_change(self) -> bool:
        """True if pages offer changes."""
        return self.is_local or bool(self.token)

    @property
    def wants_token(self) -> bool:
        """True if a change needs the token."""
        return bool(self.token)

    async def prepare(self, request: web.Request, response: web.StreamResponse) -> None:
        """Adds the headers to a response; for `on_response_prepare`."""
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuses requests to another name than the server's own."""
        if self.is_local and _host(request.headers.get("Host", "")) not in self._names:
            raise web.HTTPMisdirectedRequest(text="this worker answers to its own address only\n")
        return await handler(request)

    def check_change(self, request: web.Request, token: str) -> None:
        """Raises `HTTPForbidden`, with a sentence, unless this request may change something."""
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
