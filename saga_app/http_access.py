"""Rules of access that all our web servers have: the names that they answer to, and requests of other sites' pages."""

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

#: Headers of every response: nobody frames it, guesses its type or reads it from another site.
HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class OwnNames:
    """The names of a server. It answers to no others.

    Another site could make its name point here, and the browser of somebody who may come here would read orders for it
    (DNS rebinding).
    """

    def __init__(self, names: Iterable[str], *, is_local: bool) -> None:
        self._names = frozenset(names)
        self._is_local = is_local

    def has(self, header: str) -> bool:
        """True if a request with this `Host` is for us.

        A browser that was sent here by another name says that name, so an IP address is never that of a trap.
        """
        host = _host(header)
        return host in self._names or (not self._is_local and _is_ip_address(host))


def is_from_another_site(headers: Mapping[str, str]) -> bool:
    """True if another site's page sent the request; the names of the headers are in any case (`Origin`)."""
    origin = headers.get("Origin")
    if origin is not None and _netloc(origin) != headers.get("Host", ""):
        return True
    return headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none")


def _netloc(origin: str) -> str | None:
    """Name and port in an Origin header; None if it is no address."""
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None


def _host(header: str) -> str:
    """The name in a Host header, in small letters and without its port."""
    try:
        return (urlsplit(f"//{header}").hostname or "").removesuffix(".")
    except ValueError:
        return ""


def _is_ip_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
