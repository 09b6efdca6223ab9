"""Tokens of people and programs: each has a name and scopes, and the file of SAGA_API_TOKENS keeps only its hash.

A token is 32 random bytes. Nobody can try all of those, so one round of SHA-256 is enough, and each request is checked
within microseconds.
"""

import re
import secrets
from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from saga_app.private_files import write_private
from saga_app.security import SettingsError
from saga_app.times import fixed_moment, now, written

SETTING: Final = "SAGA_API_TOKENS"
#: By this, a scanner of repositories knows a token that somebody has committed.
PREFIX: Final = "saga_"
_BYTES: Final = 32
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
#: Name, scopes, hash, time of the end.
_LINE: Final = re.compile(r"\s*(\S+)\s+([a-z,]+)\s+([0-9a-f]{64})(?:\s+(\S+))?\s*", re.ASCII)


class TokenScope(StrEnum):
    """A thing that a token allows."""

    READ = "read"
    ORDER = "order"
    OPERATE = "operate"


class ApiToken(NamedTuple):
    """A line of the file. A token is not accepted from `until` on, in milliseconds."""

    name: str
    scopes: frozenset[TokenScope]
    digest: str
    until: int | None = None

    def line(self) -> str:
        """As it stands in the file."""
        scopes = ",".join(sorted(self.scopes))
        end = "" if self.until is None else f" {written(self.until)}"
        return f"{self.name} {scopes} {self.digest}{end}"

    def has_ended(self) -> bool:
        """True if it is not accepted any more."""
        return self.until is not None and now() >= self.until


class TokenFile:
    """The tokens in a file. It is read again when it has changed, so a token can be revoked while the API runs."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._stamp: tuple[int, int, int] | None = None
        self._by_digest: Mapping[str, ApiToken] = {}

    def find(self, secret: str) -> ApiToken | None:
        """The token, if it is one that is accepted now. Raises `SettingsError` if the file cannot be used."""
        self.read()
        # The table is searched by the hash of a guess, so the time that it takes says nothing about any token.
        found = self._by_digest.get(_digest(secret))
        return None if found is None or found.has_ended() else found

    def read(self) -> list[ApiToken]:
        """All tokens in the sequence of the file. Raises `SettingsError`."""
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp != self._stamp:
                tokens = _read(self._path.read_text("utf-8"))
                self._by_digest = {each.digest: each for each in tokens}
                self._stamp = stamp
        except (OSError, ValueError) as error:
            if isinstance(error, SettingsError):
                raise
            why = getattr(error, "strerror", None) or "it is no text in UTF-8"
            raise SettingsError(f"{SETTING} is {str(self._path)!r}: {why}") from None
        return list(self._by_digest.values())

    def add(self, name: str, scopes: Collection[TokenScope], until: int | None) -> str:
        """Makes a token and returns it; it cannot be shown again. Raises `SettingsError` if the name is taken."""
        if not _NAME.fullmatch(name):
            raise SettingsError(
                f"{name[:80]!r} is no name: 1 to 64 of A-Z a-z 0-9 . _ -, a letter or digit first"
            )
        tokens = self.read() if self._path.exists() else []
        if any(each.name == name for each in tokens):
            raise SettingsError(f"there is a token {name} already; revoke it, or choose another name")
        secret = PREFIX + secrets.token_urlsafe(_BYTES)
        self._write([*tokens, ApiToken(name, frozenset(scopes), _digest(secret), until)])
        return secret

    def revoke(self, name: str) -> None:
        """Removes a token. Raises `SettingsError` if there is none with this name."""
        tokens = self.read()
        kept = [each for each in tokens if each.name != name]
        if len(kept) == len(tokens):
            raise SettingsError(f"there is no token {name[:80]!r} in {self._path}")
        self._write(kept)

    def _write(self, tokens: Iterable[ApiToken]) -> None:
        """Readers see the old file or the new one, and never a part."""
        new = self._path.with_name(f"{self._path.name}.new")
        try:
            write_private(new, "".join(f"{each.line()}\n" for each in tokens))
            new.replace(self._path)
        except OSError as error:
            raise SettingsError(f"{SETTING} is {str(self._path)!r}: {error.strerror}") from error


def _digest(secret: str) -> str:
    return sha256(secret.encode("utf-8", errors="replace")).hexdigest()


def _read(text: str) -> list[ApiToken]:
    tokens = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            tokens.append(_token(line, number))
    return tokens


def _token(line: str, number: int) -> ApiToken:
    found = _LINE.fullmatch(line)
    scopes = found[2].split(",") if found else []
    if found is None or not _NAME.fullmatch(found[1]) or not {*scopes} <= {*TokenScope}:
        raise SettingsError(
            f"{SETTING}, line {number}: a line is NAME SCOPES HASH [UNTIL], with scopes among {', '.join(TokenScope)}; "
            "`saga api-token new` writes it"
        )
    try:
        until = fixed_moment(found[4]) if found[4] else None
    except ValueError as error:
        raise SettingsError(f"{SETTING}, line {number}: {error}") from None
    return ApiToken(found[1], frozenset(map(TokenScope, scopes)), found[3], until)
