"""Times: milliseconds since 1970, as Kafka has them, and their text for people and machines."""

import re
import time
from datetime import UTC, datetime, timedelta, tzinfo
from email.utils import parsedate_to_datetime
from typing import Final

_DURATION: Final = re.compile(r"([0-9]{1,6})([smhd])", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def now() -> int:
    """This machine's time in milliseconds since 1970."""
    return int(time.time() * 1000)


def written(milliseconds: int) -> str:
    """A time as ISO 8601 in UTC; a time outside the calendar as its number."""
    return _written(milliseconds, UTC).replace("+00:00", "Z")


def clock(milliseconds: int, now: int, zone: tzinfo = UTC) -> str:
    """A time in this zone, with the date if it is of another day than `now`, and with the year if that differs."""
    text, today = _written(milliseconds, zone)[:19].replace("T", " "), _written(now, zone)
    if text[:10] == today[:10]:
        return text[11:]
    return text[5:] if text[:4] == today[:4] else text


def duration(milliseconds: float) -> str:
    """A duration in two or three digits."""
    if milliseconds == float("inf"):
        return "over 2 h"
    for most, size, unit in ((1_000, 1, "ms"), (120_000, 1_000, "s"), (7_200_000, 60_000, "min")):
        if milliseconds < most:
            number = milliseconds / size
            return f"{number:.1f} {unit}" if number < 10 and unit != "ms" else f"{number:.0f} {unit}"
    return f"{milliseconds / 3_600_000:.1f} h"


def http_date(text: str) -> datetime | None:
    """The time in a header such as `Date`; None if there is none that can be read."""
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except (ValueError, TypeError):
        return None


def moment(text: str, now: int) -> int:
    """The time in a text: ISO 8601 (UTC if it has no zone), or a duration before now. Raises `ValueError`."""
    duration = _DURATION.fullmatch(text)
    try:
        if duration is None:
            return fixed_moment(text)
        ago = timedelta(**{_UNITS[duration[2]]: int(duration[1])})
        return _milliseconds(datetime.fromtimestamp(now / 1000, UTC) - ago)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is not a time; it is written as in 2026-01-31T12:00 (UTC), or as 30m, 12h, 7d"
        ) from None


def fixed_moment(text: str) -> int:
    """The time in a text that means the same whenever it is read: ISO 8601, UTC if it has no zone."""
    try:
        return _milliseconds(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not a time; it is written as in 2026-01-31T12:00 (UTC)") from None


def _written(milliseconds: int, zone: tzinfo) -> str:
    try:
        moment = datetime.fromtimestamp(milliseconds / 1000, zone)
    except (OverflowError, ValueError, OSError):
        return str(milliseconds)
    return moment.isoformat(timespec="milliseconds")


def _milliseconds(when: datetime) -> int:
    # A float of the seconds would be a millisecond less now and then.
    since = (when if when.tzinfo else when.replace(tzinfo=UTC)) - _EPOCH
    return since // timedelta(milliseconds=1)
