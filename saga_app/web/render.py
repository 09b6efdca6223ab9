"""Templates and their filters. Every text from a record is escaped; no text is marked as safe."""

from decimal import Decimal
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

import saga_app
from saga_app import urls
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
    """The bound of a class of durations, see `recent.CLASSES`."""
    if milliseconds == float("inf"):
        return f"more than {CLASSES[-1] / 1000:g} s"
    return f"at most {milliseconds / 1000:g} s"


def _ago(milliseconds: int) -> str:
    """The time since then, roughly."""
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
    segment=urls.segment,
    shape=labels.SHAPES.__getitem__,
    lines=pretty.lines,
    text=text,
    why=labels.why,
)
ENVIRONMENT.globals.update(version=saga_app.__version__, urls=urls)


def page(template: str, **context: Any) -> str:
    """A template, filled with its values."""
    return ENVIRONMENT.get_template(template).render(now=now(), today=written(now())[:10], **context)
