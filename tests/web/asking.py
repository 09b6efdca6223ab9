"""Requests as a browser would send them, and others."""

import http.client
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit


class HttpResponse(NamedTuple):
    status: int
    headers: Mapping[str, str]
    text: str


def ask(url: str, path: str, body: str | None = None, **headers: str) -> HttpResponse:
    """One request, with the headers as given (`_` is written as `-`)."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    if body is not None:
        given.setdefault("Content-Type", "application/x-www-form-urlencoded")
    connection.request("GET" if body is None else "POST", path, body, given)
    answer = connection.getresponse()
    try:
        return HttpResponse(answer.status, dict(answer.getheaders()), answer.read().decode())
    finally:
        connection.close()


class Stream:
    """A live part, as a browser listens to it."""

    def __init__(self, url: str, path: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
        self._connection.request("GET", path)
        self.answer = self._connection.getresponse()

    def event(self, name: str = "message") -> str:
        """The next one of this name; empty where the stream has ended."""
        lines: list[str] = []
        found = ""
        while line := self.answer.readline().decode():
            if line.startswith("event: "):
                found = line[7:].strip()
            elif line.startswith("data: ") and found == name:
                lines.append(line[6:])
            elif line == "\n" and lines:
                break
        return "".join(lines)

    def close(self) -> None:
        self._connection.close()
