"""Access rules: the security headers of every response, and the checks of every request."""

import hmac
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from saga_app import http_access
from saga_app.http_access import OwnNames, is_from_another_site
from saga_app.settings import Settings
from saga_app.token_guesses import TokenGuesses

#: A page loads and runs files of this server only, and no other site can frame it.
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    **http_access.HEADERS,
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class AccessRules:
    """The rules of one process's web server.

    It answers to its own names only (`SAGA_WEB_HOSTS`). A server that other machines can reach allows a change only
    with the token; if the settings have no token, it allows none.
    """

    def __init__(self, settings: Settings) -> None:
        self.is_local = settings.is_web_local
        self.token = settings.web_token
        self.guesses = TokenGuesses()
        self._names = OwnNames(settings.web_hosts, is_local=settings.is_web_local)

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
        """Refuses requests to another name than the server's own, and addresses that no page has."""
        if not self._names.has(request.headers.get("Host", "")):
            raise web.HTTPMisdirectedRequest(
                text="this server answers to its own names only; SAGA_WEB_HOSTS adds some\n"
            )
        if "\0" in request.path or "\0" in request.query_string or "%00" in request.query_string:
            raise web.HTTPBadRequest(text="no address here has a NUL\n")
        return await handler(request)

    def check_change(self, request: web.Request, token: str) -> None:
        """Raises `HTTPForbidden`, with a sentence, unless this request may change something."""
        if is_from_another_site(request.headers):
            raise web.HTTPForbidden(text="The request came from another site's page.")
        if not self.can_change:
            raise web.HTTPForbidden(
                text="These pages can be reached from other machines, and SAGA_WEB_TOKEN is not set: "
                "nothing can be changed here. Use the commands, or set it."
            )
        if self.token:
            self._check_token(request, token)

    def _check_token(self, request: web.Request, token: str) -> None:
        remote = request.remote or "an unknown address"
        if seconds := self.guesses.wait(remote):
            raise web.HTTPTooManyRequests(text=f"Too many wrong tokens came from {remote}. Wait {seconds} s.")
        if not hmac.compare_digest(token.encode(errors="replace"), self.token.encode()):
            self.guesses.add(remote, request.rel_url.raw_path)
            raise web.HTTPForbidden(text="The token is not the one in SAGA_WEB_TOKEN.")
