"""The values of settings: texts, each with the values that it may have. Errors name the setting."""

import os
import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from saga_app.core.fields import PROVIDER
from saga_app.core.shipping import NOBODY
from saga_app.secret_values import without_password
from saga_app.security import SettingsError

FOR_EVER: Final = "forever"
#: Least and most days that an inbox is kept. A worker needs no record older than its first undecided one: rows are
#: restored from the changelogs, and deadlines are in rows. The least is the time for which Kafka keeps the offsets of a
#: stopped group (`offsets.retention.minutes`, 7 days by default): workers may come back in that time.
RETENTION: Final = (7, 3650)
_DATABASE: Final = re.compile(r"sqlite:///.|postgres(ql)?://.")
_ACTOR: Final = re.compile(r"[ -~]{0,100}")
_COLLECTOR: Final = re.compile(r"https?://[^/]", re.IGNORECASE)
_SQLITE: Final = "sqlite:///"
_DOTTED: Final = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
_FACTORY: Final = re.compile(f"{PROVIDER}={_DOTTED}:[A-Za-z_]\\w*", re.ASCII)
#: Seconds of each unit.
_UNITS: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DURATION: Final = re.compile(r"([0-9]{1,9})([dhms])|0", re.ASCII)


def require_number(name: str, text: str, least: int, most: int) -> None:
    """A whole number within these limits."""
    if not _is_between(text, least, most):
        raise SettingsError(f"{name} is {text!r}; it is a whole number from {least} to {most}")


def require_one_of(name: str, text: str, allowed: Sequence[str]) -> None:
    """One of these words."""
    if text not in allowed:
        raise SettingsError(f"{name} is {text!r}; it may be {' or '.join(filter(None, allowed))}")


def require_days(name: str, text: str, why: str) -> None:
    """A number of days, or for ever; `why` it is not less."""
    if text != FOR_EVER and not _is_between(text, *RETENTION):
        raise SettingsError(
            f"{name} is {text!r}; it is {FOR_EVER}, or days from {RETENTION[0]} to {RETENTION[1]}: {why}"
        )


def days(text: str) -> timedelta | None:
    """The time of a text that `require_days` has accepted; None is for ever."""
    return None if text == FOR_EVER else timedelta(days=int(text))


def milliseconds(name: str, text: str) -> int | None:
    """The milliseconds of a time such as 30d; None for 0, which is never."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise SettingsError(f"{name} is {text!r}; it is a time such as 30d, 12h, 90m, 45s, or 0 for never")
    return int(found[1]) * _UNITS[found[2]] * 1000 or None if found[1] else None


def factories(name: str, text: str) -> dict[str, str]:
    """From `NAME=MODULE:FACTORY, ...`, by name; each name is one that an order may have."""
    found: dict[str, str] = {}
    for each in filter(None, (part.strip() for part in text.split(","))):
        provider, _, place = each.partition("=")
        if not _FACTORY.fullmatch(each) or provider in (NOBODY, *found):
            raise SettingsError(
                f"{name} has {each[:120]!r}; each is NAME=MODULE:FACTORY, the names differ, and none is {NOBODY!r}"
            )
        found[provider] = place
    return found


def require_actor(name: str, text: str) -> None:
    """A text that fits into a header and a line of a log."""
    if not _ACTOR.fullmatch(text):
        raise SettingsError(f"{name} is {text[:120]!r}; it has at most 100 printable ASCII characters")


def require_brokers(name: str, text: str) -> None:
    """Addresses of brokers."""
    for server in text.split(","):
        host, _, port = server.strip().rpartition(":")
        if not host or not port.isdigit():
            raise SettingsError(f"{name} is {text!r}; it is host:port, separated by commas")


def require_database(name: str, url: str) -> None:
    """The address of a database of a kind that the order database may be."""
    if not _DATABASE.match(url):
        raise SettingsError(
            f"{name} is {without_password(url)!r}; it is sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"
        )


def require_collector(name: str, url: str) -> None:
    """The address of a collector of traces, or nothing."""
    if url and not _COLLECTOR.match(url):
        raise SettingsError(
            f"{name} is {without_password(url)!r}; it is http://HOST:4318/v1/traces, or https://..."
        )


def with_full_path(url: str) -> str:
    """The address of the same SQLite file from every folder; other addresses as they are."""
    path = url.removeprefix(_SQLITE)
    if path == url or path.startswith(("/", ":")):
        return url
    project = Path(__file__).absolute().parent.parent
    base = project if (project / "setup.cfg").exists() else Path(os.path.expanduser("~"))  # noqa: PTH111 - never fails
    return f"{_SQLITE}{base / path}"


def _is_between(text: str, least: int, most: int) -> bool:
    return text.isdigit() and least <= int(text) <= most
