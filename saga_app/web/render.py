"""Templates and what they can say. Everything from records is escaped; nothing is marked as safe."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

import saga_app
from saga_app.core import labels
from saga_app.dead_letters import pretty
from saga_app.dead_letters.letter import text
from saga_app.orderdb.queries.recent import CLASSES
from saga_app.text import printable
from saga_app.times import clock, now, written


def _clock(milliseconds: int) -> str:
    return clock(milliseconds, now())


def _number(value: int | Decimal) -> str:
    return f"{value:,}"


def _seconds(milliseconds: float) -> str:
    """A class of durations, see `recent.CLASSES`."""
    if milliseconds == float("inf"):
        return f"more than {CLASSES[-1] / 1000:g} s"
    return f"at most {milliseconds / 1000:g} s"


def _segment(value: object) -> str:
    """A text as one segment of a path."""
    return quote(str(value), safe="")


def _ago(milliseconds: int) -> str:
    """Roughly how long ago."""
    seconds = max(0, now() - milliseconds) // 1000
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


ENVIRONMENT: Final = Environment(
    loader=PackageLoader("saga_app.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
ENVIRONMENT.filters.update(
    ago=_ago,
    clock=_clock,
    iso=written,
    number=_number,
    printable=printable,
    seconds=_seconds,
    segment=_segment,
    shape=labels.SHAPES.__getitem__,
    lines=pretty.lines,
    text=text,
    why=labels.why,
)
ENVIRONMENT.globals.update(version=saga_app.__version__)


def page(template: str, **context: Any) -> str:
    """A template with its values."""
    return ENVIRONMENT.get_template(template).render(
        now=now(), today=datetime.now(UTC).date().isoformat(), **context
    )
