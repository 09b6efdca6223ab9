"""The keys with which services sign what they send each other, and the time from which they must."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, Self

from saga_app.security import SettingsError
from saga_app.times import fixed_moment

KEYS: Final = "SAGA_SIGNING_KEYS"
SINCE: Final = "SAGA_SIGNED_SINCE"
#: Instead of a time: no worker has ever needed a signature, so a dead letter that says otherwise is forged.
NEVER: Final = "never"
#: Id, secret, time of the end. 32 bytes, the length of HMAC-SHA256's result, are the least that RFC 2104 advises.
_LINE: Final = re.compile(
    r"\s*([A-Za-z0-9._-]{1,32})\s+((?:[0-9a-fA-F]{2}){32,64})(?:\s+(\S+))?\s*", re.ASCII
)


@dataclass(frozen=True)
class SigningKey:
    """A key. Records that Kafka takes at `until`, in milliseconds, or later are not accepted with it."""

    id: str
    secret: bytes = field(repr=False)
    until: int | None = None


class SignedTime(NamedTuple):
    """The time in which services must sign, in milliseconds, from `since` up to, not including, `until`."""

    since: int
    until: int | None = None

    def covers(self, time: int) -> bool:
        """True if a record that Kafka took at this time needs a signature."""
        return self.since <= time and (self.until is None or time < self.until)


class SigningKeys(NamedTuple):
    """The keys by id; the first one signs. `required` is None where signatures are only written."""

    keys: Mapping[str, SigningKey]
    required: SignedTime | None

    @property
    def first(self) -> SigningKey:
        return next(iter(self.keys.values()))

    @classmethod
    def read(cls, path: str, required: str) -> Self | None:
        """From the two settings; None if nobody signs. `SettingsError` for a mistake, without any secret in it."""
        required = "" if required == NEVER else required
        if not path:
            if required:
                raise SettingsError(f"{SINCE} is set, and {KEYS} is not: it names the file with the keys")
            return None
        try:
            text = Path(path).read_text("utf-8")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it is no text in UTF-8"
            raise SettingsError(f"{KEYS} names a file that cannot be read: {why}") from None
        keys: dict[str, SigningKey] = {}
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip() and not line.startswith("#"):
                key = _key(line, number)
                if key.id in keys:
                    raise SettingsError(f"{KEYS}, line {number}: the key {key.id} is there twice")
                keys[key.id] = key
        if not keys:
            raise SettingsError(f"{KEYS} names a file without a key; a line is: ID SECRET [UNTIL]")
        found = cls(keys, _signed_time(required) if required else None)
        if found.first.until is not None:
            raise SettingsError(f"{KEYS}: the first key signs, so it has no end; put a new key before it")
        return found


def _key(line: str, number: int) -> SigningKey:
    found = _LINE.fullmatch(line)
    if found is None:
        raise SettingsError(
            f"{KEYS}, line {number}: a line is an id of 1 to 32 characters A-Z a-z 0-9 . _ -, a secret of 32 to 64 "
            "bytes in hexadecimal (openssl rand -hex 32), and the time of its end if it has one"
        )
    try:
        return SigningKey(found[1], bytes.fromhex(found[2]), fixed_moment(found[3]) if found[3] else None)
    except ValueError as error:
        raise SettingsError(f"{KEYS}, line {number}: {error}") from None


def _signed_time(text: str) -> SignedTime:
    since, _, until = text.partition("/")
    try:
        found = SignedTime(fixed_moment(since), fixed_moment(until) if until else None)
    except ValueError as error:
        raise SettingsError(f"{SINCE}: {error}, FROM/UNTIL, or {NEVER}") from None
    if found.until is not None and found.until <= found.since:
        raise SettingsError(f"{SINCE} is {text!r}: it ends before it begins")
    return found
