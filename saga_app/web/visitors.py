"""The visitors of the pages, and what each may do: everybody, who has a token, or who comes through a proxy.

A token is the one of the API, from the same file. A visitor with the scope `read` looks, one with `operate` changes
too. The session is the token itself, in a cookie that no script can read: every server of ours knows it, and it ends
when the token is revoked.
"""

import re
from ipaddress import ip_address, ip_network
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from aiohttp import web

from saga_app.settings import Settings, SettingsError
from saga_app.tokens import ApiToken, TokenFile, TokenScope

SESSION: Final = "saga_session"
#: Seconds until a browser must log in again.
SESSION_LASTS: Final = 12 * 3600
TOKENS: Final = "tokens"
PROXY: Final = "proxy"
#: The possible values of SAGA_WEB_LOGIN.
LOGINS: Final = ("", TOKENS, PROXY)
#: In SAGA_WEB_OPERATORS: everybody.
EVERYBODY: Final = "*"
_NAME: Final = re.compile(r"[ -~]{1,80}", re.ASCII)


class Visitor(NamedTuple):
    """A person or a program; `name` is empty where nobody logs in."""

    name: str
    may_change: bool


class Visitors:
    """Finds out who sends a request. `SettingsError` if the settings do not say how."""

    def __init__(self, settings: Settings) -> None:
        self.login = settings.web_login
        if self.login not in LOGINS:
            raise SettingsError(f"SAGA_WEB_LOGIN is {self.login!r}; it is empty, {TOKENS} or {PROXY}")
        self._is_https = urlsplit(settings.canonical_url).scheme == "https"
        self._tokens = self._token_file(settings)
        self._header = settings.web_user_header
        self._operators = frozenset(_words(settings.web_operators))
        try:
            self._proxies = [ip_network(each) for each in _words(settings.web_proxies)]
        except ValueError as error:
            raise SettingsError(
                f"SAGA_WEB_PROXIES: {error}; it is addresses or networks, with commas"
            ) from None
        if self.login == PROXY and not (self._header and self._proxies):
            raise SettingsError(
                "SAGA_WEB_LOGIN is proxy: SAGA_WEB_USER_HEADER names the header with the user, and SAGA_WEB_PROXIES "
                "the addresses from which it counts"
            )

    @property
    def log_in(self) -> bool:
        """True if visitors log in here."""
        return self.login == TOKENS

    @property
    def are_known(self) -> bool:
        """True if every visitor has a name."""
        return bool(self.login)

    def of(self, request: web.Request) -> Visitor | None:
        """The visitor; None if nobody is known to send this request."""
        if self.login == PROXY:
            return self._through_proxy(request)
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        return self.known(given if kind.lower() == "bearer" else request.cookies.get(SESSION, ""))

    def known(self, secret: str) -> Visitor | None:
        """The visitor with this token; None if there is none, or it may not even look."""
        assert self._tokens is not None
        token = self._tokens.find(secret) if secret else None
        return None if token is None else _visitor(token)

    def begin_session(self, request: web.Request, response: web.StreamResponse, secret: str) -> None:
        """The browser sends the token from now on; no script can read it, and no other site's form has it."""
        is_https = self._is_https or request.secure
        response.set_cookie(
            SESSION,
            secret,
            max_age=SESSION_LASTS,
            path="/",
            secure=is_https,
            httponly=True,
            samesite="Lax",
        )

    def end_session(self, response: web.StreamResponse) -> None:
        """The browser forgets the token."""
        response.del_cookie(SESSION, path="/", httponly=True, samesite="Lax")

    def _token_file(self, settings: Settings) -> TokenFile | None:
        if self.login != TOKENS:
            return None
        if not settings.api_tokens_file:
            raise SettingsError(
                "SAGA_WEB_LOGIN is tokens, and SAGA_API_TOKENS is not set: name a file and make a token, "
                "`saga api-token new NAME --scope read --scope operate`"
            )
        found = TokenFile(settings.api_tokens_file)
        found.read()
        return found

    def _through_proxy(self, request: web.Request) -> Visitor | None:
        try:
            sender = ip_address(request.remote or "")
        except ValueError:
            return None
        name = request.headers.get(self._header, "")
        if not any(sender in network for network in self._proxies) or not _NAME.fullmatch(name):
            return None
        return Visitor(name, EVERYBODY in self._operators or name in self._operators)


def _visitor(token: ApiToken) -> Visitor | None:
    operates = TokenScope.OPERATE in token.scopes
    return Visitor(token.name, operates) if operates or TokenScope.READ in token.scopes else None


def _words(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]
