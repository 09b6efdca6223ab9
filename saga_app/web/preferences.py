"""Preferences of a reader, in cookies that the script of the pages sets: colours, density of tables, time zone."""

from collections.abc import Mapping
from datetime import UTC, tzinfo
from typing import Final, NamedTuple, Self
from zoneinfo import ZoneInfo

THEME: Final = "saga_theme"
DENSITY: Final = "saga_density"
ZONE: Final = "saga_zone"


class Preferences(NamedTuple):
    """`theme` is `light`, `dark` or empty for that of the system; `density` is `compact` or empty."""

    theme: str = ""
    density: str = ""
    zone: tzinfo = UTC

    @classmethod
    def of(cls, cookies: Mapping[str, str]) -> Self:
        """The preferences in these cookies; what is not known is left out."""
        theme, density = cookies.get(THEME, ""), cookies.get(DENSITY, "")
        return cls(
            theme if theme in ("light", "dark") else "",
            density if density == "compact" else "",
            _zone(cookies.get(ZONE, "")),
        )

    @property
    def zone_name(self) -> str:
        """The name of the time zone, for people."""
        return str(self.zone)


def _zone(name: str) -> tzinfo:
    """The zone of this name; UTC if there is none, or this machine does not know it."""
    try:
        return ZoneInfo(name) if name else UTC
    except (LookupError, ValueError, OSError):
        return UTC
