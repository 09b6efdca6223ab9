"""Access rules: the security headers of every response, and the checks of every request."""

import hmac
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import quote

from aiohttp import web

from saga_app import http_access, urls
from saga_app.http_access import OwnNames, is_from_another_site
from saga_app.settings import Settings
from saga_app.token_guesses import TokenGuesses
from saga_app.web.visitors import PROXY, Visitor, Visitors

#: A page loads and runs files of this server only, and no other site can frame it.
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    **http_access.HEADERS,
}
#: Addresses that need no login: they tell nothing of orders, or are the way in.
_OPEN: Final = (urls.IS_ALIVE, urls.IS_READY, urls.METRICS, urls.LOGIN)
_VISITOR: Final = web.RequestKey("visitor", Visitor)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class AccessRules:
    """The rules of one process's web server.

    It answers to its own names only (`SAGA_WEB_HOSTS`). With `SAGA_WEB_LOGIN` it shows and changes nothing for
    visitors that it does not know. Without, a server that other machines can reach allows a change only with the
    token; if the settings have no token, it allows none.
    """

    def __init__(self, settings: Settings) -> None:
        self.is_local = settings.is_web_local
        self.token = settings.web_token
        self.visitors = Visitors(settings)
        self.guesses = TokenGuesses()
        self._names = OwnNames(settings.web_hosts, is_local=settings.is_web_local)

    @property
    def wants_token(self) -> bool:
        """True if a change needs the token."""
        return bool(self.token) and not self.visitors.are_known

    def visitor(self, request: web.Request) -> Visitor:
        """The visitor who sends this request."""
        return request.get(_VISITOR) or Visitor("", self.is_local or bool(self.token))

    async def prepare(self, request: web.Request, response: web.StreamResponse) -> None:
        """Adds the headers to a response; for `on_response_prepare`."""
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuses requests to another name than the server's own, addresses that no page has, and strangers."""
        if not self._names.has(request.headers.get("Host", "")):
            raise web.HTTPMisdirectedRequest(
                text="this server answers to its own names only; SAGA_WEB_HOSTS adds some\n"
            )
        if "\0" in request.path or "\0" in request.query_string or "%00" in request.query_string:
            raise web.HTTPBadRequest(text="no address here has a NUL\n")
        if self.visitors.are_known and not _is_open(request.path):
            request[_VISITOR] = self._known(request)
        return await handler(request)

    def log_in(self, request: web.Request, secret: str, following: str) -> web.Response:
        """Begins a session, and leads to the page that was asked for. Raises `HTTPForbidden`, with a sentence."""
        if is_from_another_site(request.headers):
            raise web.HTTPForbidden(text="The request came from another site's page.")
        if self.visitors.known(secret.strip()) is None:
            self._guessed(request)
            raise web.HTTPForbidden(
                text="This is no token that may look: it is not known, has ended, or has neither the scope read nor "
                "operate."
            )
        # Nowhere else: an address of another site begins with two slashes, or with a backslash.
        is_own = following.startswith("/") and not following.startswith(("//", "/\\"))
        response = web.Response(status=303, headers={"Location": following if is_own else urls.OVERVIEW})
        self.visitors.begin_session(request, response, secret.strip())
        return response

    def log_out(self, request: web.Request) -> web.Response:
        """Ends the session."""
        if is_from_another_site(request.headers):
            raise web.HTTPForbidden(text="The request came from another site's page.")
        response = web.Response(status=303, headers={"Location": urls.LOGIN})
        self.visitors.end_session(response)
        return response

    def check_change(self, request: web.Request, token: str) -> None:
        """Raises `HTTPForbidden`, with a sentence, unless this request may change something."""
        if is_from_another_site(request.headers):
            raise web.HTTPForbidden(text="The request came from another site's page.")
        visitor = self.visitor(request)
        if not visitor.may_change:
            raise web.HTTPForbidden(text=self.why_not(visitor))
        if self.wants_token:
            self._check_token(request, token)

    def why_not(self, visitor: Visitor) -> str:
        """The reason why a visitor may change nothing."""
        if self.visitors.login == PROXY:
            return f"{visitor.name} may look and change nothing: SAGA_WEB_OPERATORS does not have this name."
        if self.visitors.are_known:
            return f"{visitor.name} may look and change nothing: this token has not the scope operate."
        return (
            "These pages can be reached from other machines, and SAGA_WEB_TOKEN is not set: nothing can be changed "
            "here. Use the commands, or set it."
        )

    def _known(self, request: web.Request) -> Visitor:
        visitor = self.visitors.of(request)
        if visitor is not None:
            return visitor
        if not self.visitors.log_in:
            raise web.HTTPForbidden(
                text="these pages are for those whom the proxy of SAGA_WEB_PROXIES names\n"
            )
        if request.headers.get("Authorization"):
            self._guessed(request)
        if request.method in ("GET", "HEAD") and "text/html" in request.headers.get("Accept", ""):
            raise web.HTTPSeeOther(f"{urls.LOGIN}?next={quote(request.path_qs, safe='')}")
        raise web.HTTPUnauthorized(
            text=f"log in at {urls.LOGIN}, or send Authorization: Bearer TOKEN\n",
            headers={"WWW-Authenticate": "Bearer"},
        )

    def _guessed(self, request: web.Request) -> None:
        """A wrong token came: whoever sends several waits, and nobody with a right one does."""
        remote = request.remote or "an unknown address"
        if seconds := self.guesses.wait(remote):
            raise _too_many(remote, seconds)
        self.guesses.add(remote, request.rel_url.raw_path)

    def _check_token(self, request: web.Request, token: str) -> None:
        remote = request.remote or "an unknown address"
        if seconds := self.guesses.wait_of(remote):
            raise _too_many(remote, seconds)
        if not hmac.compare_digest(token.encode(errors="replace"), self.token.encode()):
            self._guessed(request)
            raise web.HTTPForbidden(text="The token is not the one in SAGA_WEB_TOKEN.")


def _is_open(path: str) -> bool:
    return path in _OPEN or path.startswith(urls.STATIC)


def _too_many(remote: str, seconds: int) -> web.HTTPTooManyRequests:
    return web.HTTPTooManyRequests(
        text=f"Too many wrong tokens came from {remote}. Wait {seconds} s.",
        headers={"Retry-After": str(seconds)},
    )
