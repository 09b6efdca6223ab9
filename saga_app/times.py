"""Times: milliseconds since 1970, as Kafka writes them, and their spelling for people and machines."""

import time
from datetime import UTC, datetime


def now() -> int:
    """This machine's time in milliseconds since 1970."""
    return int(time.time() * 1000)


def written(milliseconds: int) -> str:
    """A time of Kafka's as ISO 8601, in UTC; a time that no calendar has as its number."""
    try:
        moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return str(milliseconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clock(milliseconds: int, now: int) -> str:
    """A time of today's in UTC; of another day with the date, of another year with that too."""
    text, today = written(milliseconds)[:19].replace("T", " "), written(now)
    if text[:10] == today[:10]:
        return text[11:]
    return text[5:] if text[:4] == today[:4] else text
