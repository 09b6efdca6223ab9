"""One order for people: a sentence, the route, what happened, and the commands that tell more."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from saga_app.commands.render.output import print_lines, show
from saga_app.commands.render.terminal import Screen, cells, padded
from saga_app.core.amounts import PARTS
from saga_app.core.rows import Status
from saga_app.dead_letters.letter import text
from saga_app.orderdb.present import order_json
from saga_app.orderdb.present.summary import cancelled_first_in_words, sentence, untaken_in_words
from saga_app.orderdb.present.timeline import RouteStop, TimelineEntry, route, timeline
from saga_app.orderdb.queries.order import OrderDetails
from saga_app.text import printable
from saga_app.times import clock, duration, now, written

#: Lines of an order that the page names; it counts the rest.
_MOST_LINES: Final = 6


def page(found: OrderDetails, at: int, screen: Screen) -> Iterator[str]:
    """The whole page of an order that has at least one copied record."""
    yield from head(found, at, screen)
    if found.status is not None:
        yield ""
        yield from _facts(found, at, screen)
        yield ""
        yield from _route(found, screen)
    yield ""
    for line in timeline(found.events, found.letters, found.steps, found.patience):
        yield from event(line, at, screen)
    yield ""
    yield from _links(found, screen)


def head(found: OrderDetails, at: int, screen: Screen) -> Iterator[str]:
    """The order's id and state, and the sentence."""
    name = screen.paint(printable(found.order_id), bold=True)
    if found.untaken is not None:
        yield f"{name}  {screen.state(found.untaken['status'])}"
        yield from screen.wrapped(untaken_in_words(found.untaken, at))
        return
    if found.cancelled_first is not None:
        yield name
        yield from screen.wrapped(cancelled_first_in_words(found.cancelled_first, at))
        return
    if found.status is None:
        yield name
        yield from screen.wrapped(
            "Its records are there and its row is not: checkout has not decided it yet, or it is not copied yet."
        )
        return
    yield f"{name}  {screen.state(found.status.status)}"
    yield from screen.wrapped(sentence(found.status).in_words(at))


def event(line: TimelineEntry, at: int, screen: Screen) -> Iterator[str]:
    """One line of the timeline."""
    time = clock(line.at, at) + written(line.at)[19:23]
    first, *rest = screen.wrapped(f"{time}  {line.what}", len(time) + 2)
    yield screen.paint(first, fg="red") if line.dead and not line.settled else first
    yield from rest


def raw(found: OrderDetails) -> Iterator[str]:
    """The rows of the database, each behind the name of its table."""
    for row in rows(found):
        yield printable(f"{row.pop('table')}  {json.dumps(row)}")


def rows(found: OrderDetails) -> list[dict[str, Any]]:
    """The rows of the database for machines: amounts as strings, bytes as text."""
    tables = {
        "orders": [] if found.order is None else [found.order],
        "order_lines": found.lines,
        "order_steps": found.steps,
        "order_events": found.events,
        "dead_letters": found.letters,
    }
    plain = json.dumps(
        [{"table": table, **row} for table, each in tables.items() for row in each], default=_plain
    )
    read: list[dict[str, Any]] = json.loads(plain)
    return read


class JsonChanges:
    """`saga order --follow --json`: the whole order after each change."""

    def show(self, found: OrderDetails) -> None:
        """Prints the order."""
        show(order_json.as_json(found, now()), "", as_json=True)

    def end(self, found: OrderDetails) -> None:
        """Prints nothing: the last change has the end."""


class TextChanges:
    """`saga order --follow`: each record once, and what the order waits for when that changes."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._shown: set[str] = set()
        self._waits = ""

    def show(self, found: OrderDetails) -> None:
        """Prints the records that are new."""
        lines = timeline(found.events, found.letters, found.steps, found.patience)
        for line in lines:
            if line.place not in self._shown:
                print_lines(event(line, now(), self._screen))
        self._shown.update(line.place for line in lines)
        standing = found.status
        if standing is not None and not standing.has_ended and sentence(standing).what != self._waits:
            self._waits = sentence(standing).what
            print_lines(self._screen.wrapped(sentence(standing).in_words(now())))

    def end(self, found: OrderDetails) -> None:
        """Prints how the order ended."""
        print_lines(head(found, now(), self._screen))


def _plain(value: Any) -> str:
    return text(value) if isinstance(value, bytes) else str(value)


def _facts(found: OrderDetails, at: int, screen: Screen) -> Iterator[str]:
    order = found.order
    assert order is not None
    facts = [f"{order['amount']:,} {order['currency']}"]
    parts = {name: order[f"{name}_amount"] for name in PARTS}
    facts += [f"{name} {amount:,}" for name, amount in parts.items() if amount is not None]
    facts += [f"customer {order['customer_id']}"] if order["customer_id"] else []
    facts += [f"warehouse {order['warehouse']}"]
    facts += [f"country {order['country']}"] if order["country"] else []
    facts += [f"given up after {duration(order['patience'] * 1000)}"] if order["patience"] else []
    facts += [f"placed {clock(order['placed_at'], at)}"]
    if order["ended_at"] is not None:
        took = (order["ended_at"] - order["placed_at"]) / 1000
        facts += [f"ended {clock(order['ended_at'], at)}, after {took:,.1f} s"]
    yield from screen.wrapped("; ".join(facts) + " (UTC)")
    named = {**({"reference": order["reference"]} if order["reference"] else {}), **found.metadata}
    for name, value in named.items():
        yield from screen.wrapped(f"{printable(name)}: {printable(value)}")
    lines = [f"{each['quantity']:,} x {each['sku']}" for each in found.lines[:_MOST_LINES]]
    more = len(found.lines) - len(lines)
    if lines:
        yield from screen.wrapped(", ".join(lines) + (f" and {more} more" if more else ""))


def _route(found: OrderDetails, screen: Screen) -> list[str]:
    assert found.status is not None
    there, back = route(found.status)
    across = _across(there, {stop.step: stop for stop in back}, screen)
    fits = screen.width is None or max(map(cells, across)) <= screen.width
    return across if fits else list(_down(there, back, screen))


def _across(there: tuple[RouteStop, ...], back: Mapping[str, RouteStop], screen: Screen) -> list[str]:
    """The steps side by side, each with its compensation below it."""
    columns = [[stop.step, *_stop(stop, screen), *_stop(back.get(stop.step), screen)] for stop in there]
    widths = [max(map(cells, column)) for column in columns]
    on, home = ("->", "<-") if screen.ascii else ("→", "←")
    lines = []
    for number, row in enumerate(zip(*columns, strict=True)):
        line = padded(row[0], widths[0])
        for field, width, stop in zip(row[1:], widths[1:], there[1:], strict=True):
            link = {0: on, 3: home if stop.step in back else ""}.get(number, "")
            line += f"  {padded(link, len(on))}  {padded(field, width)}"
        lines.append(line.rstrip())
    return [line for line in lines if line]


def _down(there: tuple[RouteStop, ...], back: tuple[RouteStop, ...], screen: Screen) -> Iterator[str]:
    for stop in there:
        yield from screen.wrapped(f"{stop.step:<9}  {screen.shape(stop.state)} {stop.what}", 13)
    if back:
        yield "and back:"
    for stop in back:
        yield from screen.wrapped(f"{stop.step:<9}  {screen.shape(stop.state)} {stop.what}", 13)


def _stop(stop: RouteStop | None, screen: Screen) -> tuple[str, str]:
    """The state of a step and its time, as two lines."""
    if stop is None:
        return "", ""
    return (
        f"{screen.mark(stop.state)} {printable(stop.what)}",
        f"  {written(stop.at)[11:23]}" if stop.at else "",
    )


def _links(found: OrderDetails, screen: Screen) -> Iterator[str]:
    links = [(f"saga history {found.order_id}", "the same from Kafka, with its rows")]
    if found.letters:
        links.append((f"saga dead-letters --order {found.order_id}", "what could not be applied"))
    if found.status is not None and not found.status.has_ended:
        links.append((f"saga order {found.order_id} --follow", "until it has ended"))
        links.append(("saga doctor", "do workers run?"))
        if found.status.status is Status.OPEN:
            links.append((f"saga cancel {found.order_id}", "undo it, if it is not too late"))
    longest = max(len(command) for command, _ in links)
    for command, what in links:
        line = f"{command:<{longest}}  # {what}"
        yield screen.paint(line if screen.width is None or len(line) <= screen.width else command, dim=True)
