"""Templates and their filters. Every text from a record is escaped; no text is marked as safe."""

from decimal import Decimal
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context

import saga_app
from saga_app import urls
from saga_app.core import labels
from saga_app.dead_letters import pretty
from saga_app.dead_letters.letter import text
from saga_app.orderdb.present.summary import (
    cancelled_first_in_words,
    listed_reason,
    listed_waits_for,
    sentence,
    untaken_in_words,
)
from saga_app.orderdb.queries.order import OrderDetails
from saga_app.text import printable
from saga_app.times import clock, duration, now, written
from saga_app.web.preferences import Preferences


@pass_context
def _clock(context: Context, milliseconds: int) -> str:
    return clock(milliseconds, now(), context["reader"].zone)


@pass_context
def _hour(context: Context, milliseconds: int) -> str:
    """Hour and minute, for a label below a chart."""
    return clock(milliseconds, milliseconds, context["reader"].zone)[:5]


@pass_context
def _sentence(context: Context, found: OrderDetails) -> str:
    """The sentence about an order; empty if its row is not copied."""
    zone = context["reader"].zone
    if found.untaken is not None:
        return untaken_in_words(found.untaken, now(), zone)
    if found.cancelled_first is not None:
        return cancelled_first_in_words(found.cancelled_first, now(), zone)
    return "" if found.status is None else sentence(found.status).in_words(now(), zone)


def _number(value: int | Decimal) -> str:
    return f"{value:,}"


def _ago(milliseconds: int) -> str:
    """The time since then, roughly."""
    seconds = max(0, now() - milliseconds) // 1000
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def _span(milliseconds: int) -> str:
    """A duration for which something has gone on, in its two largest units."""
    minutes = max(0, milliseconds) // 60_000
    days, hours = divmod(minutes // 60, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


def _word(state: str | None) -> str:
    return "Nothing yet" if state is None else labels.STATE_WORDS.get(state, state)


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
    hour=_hour,
    duration=duration,
    fault=labels.fault,
    iso=written,
    number=_number,
    listed_reason=listed_reason,
    printable=printable,
    segment=urls.segment,
    sentence=_sentence,
    span=_span,
    shape=labels.SHAPES.__getitem__,
    lines=pretty.lines,
    text=text,
    waits_for=listed_waits_for,
    why=labels.why,
    word=_word,
)
ENVIRONMENT.globals.update(version=saga_app.__version__, urls=urls, effect=labels.effect)


def page(template: str, reader: Preferences, **context: Any) -> str:
    """A template, filled with its values, as this reader wants it."""
    return ENVIRONMENT.get_template(template).render(
        now=now(), today=written(now())[:10], reader=reader, **context
    )
