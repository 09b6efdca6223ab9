"""Access rules of the API: its own names, other sites' pages, tokens and their scopes."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated, Any, Final, NamedTuple

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes
from starlette.datastructures import Headers, MutableHeaders

from saga_app import http_access
from saga_app.api.problems import Problem
from saga_app.http_access import OwnNames, is_from_another_site
from saga_app.settings import Settings
from saga_app.token_guesses import TokenGuesses
from saga_app.tokens import TokenFile, TokenScope

#: Answers are data: a browser runs and shows nothing of them. The documentation has a policy of its own.
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    **http_access.HEADERS,
}
_SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS")
#: Characters of an actor.
_LONGEST_ACTOR: Final = 100

Message = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]
Asgi = Callable[[Message, Receive, Send], Awaitable[None]]

bearer: Final = HTTPBearer(
    auto_error=False, scheme_name="token", description="A token of `saga api-token new`, with its scopes."
)


class AccessMiddleware:
    """Refuses requests to other names and from other sites' pages; adds the security headers to every answer."""

    def __init__(self, app: Asgi, settings: Settings) -> None:
        self._app = app
        self._names = OwnNames(settings.api_hosts, is_local=settings.is_api_local)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        problem = self._problem(scope)
        app: Any = self._app if problem is None else problem.response()
        await app(scope, receive, send_with_headers)

    def _problem(self, scope: Message) -> Problem | None:
        headers = Headers(scope=scope)
        if not self._names.has(headers.get("Host", "")):
            return Problem(
                HTTPStatus.MISDIRECTED_REQUEST,
                "misdirected",
                "this API answers to its own names only; SAGA_API_HOSTS adds some",
            )
        if scope["method"] not in _SAFE_METHODS and is_from_another_site(headers):
            return Problem(HTTPStatus.FORBIDDEN, "another_site", "the request came from another site's page")
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            return Problem(HTTPStatus.BAD_REQUEST, "invalid", "no address here has a NUL")
        return None


class Caller(NamedTuple):
    """The caller: the token's name, empty if none is needed; and the actor for records and the operator log."""

    name: str
    actor: str


class TokenRules:
    """Finds the caller by the token; it is everybody on this machine if the settings name no tokens."""

    def __init__(self, settings: Settings) -> None:
        self._tokens = TokenFile(settings.api_tokens_file) if settings.api_tokens_file else None
        self._guesses = TokenGuesses()

    async def caller(
        self,
        request: Request,
        scopes: SecurityScopes,
        given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
    ) -> Caller:
        """The caller. Raises `Problem` unless the token has the scopes."""
        remote = request.client.host if request.client else "an unknown address"
        if self._tokens is None:
            return Caller("", f"api {remote}"[:_LONGEST_ACTOR])
        if given is None:
            raise _unauthorized("this API needs a token: Authorization: Bearer TOKEN")
        token = self._tokens.find(given.credentials)
        if token is None:
            # Only wrong tokens wait: others behind the same address, or with many, shut out no caller with a right one.
            if seconds := self._guesses.wait(remote):
                raise Problem(
                    HTTPStatus.TOO_MANY_REQUESTS,
                    "too_many_guesses",
                    f"too many wrong tokens came from {remote}",
                    headers={"Retry-After": str(seconds)},
                )
            self._guesses.add(remote, request.url.path)
            raise _unauthorized("the token is not known, or has ended", ' error="invalid_token"')
        if missing := [each for each in scopes.scopes if TokenScope(each) not in token.scopes]:
            raise Problem(
                HTTPStatus.FORBIDDEN,
                "scope_missing",
                f"the token {token.name} has not the scope {', '.join(missing)}",
                headers={
                    "WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{" ".join(missing)}"'
                },
            )
        return Caller(token.name, f"api {token.name}")


def _unauthorized(detail: str, more: str = "") -> Problem:
    headers = {"WWW-Authenticate": f"Bearer{more}"}
    return Problem(HTTPStatus.UNAUTHORIZED, "token_needed", detail, headers=headers)
