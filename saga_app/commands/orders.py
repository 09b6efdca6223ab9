"""`saga orders`: the orders, newest first, from the order database."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import click

from saga_app.commands.args import TimeParam, limit_option
from saga_app.commands.copy_lag import lag_by_topic
from saga_app.commands.health_line import with_health
from saga_app.commands.needs_database import needs_database
from saga_app.commands.render.output import CommandFailed, as_json, one_line_errors, print_lines, show
from saga_app.commands.render.terminal import Screen, table
from saga_app.core.labels import STATES
from saga_app.core.route import ROUTE
from saga_app.settings import Settings
from saga_app.text import printable
from saga_app.times import now, written

_STEPS: Final = [step.name.value for step in ROUTE]
_TIMES: Final = ("placed_at", "since", "ended_at")


@click.command()
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(STATES, case_sensitive=False),
    help="Only these. May be repeated. PLACED: no worker has taken it.",
)
@click.option(
    "--since", metavar="TIME", type=TimeParam(), help="Placed since then: a time, or 30m, 12h, 7d ago."
)
@click.option(
    "--q", default="", metavar="TEXT", help="Only where the order's id, its customer or a SKU begins so."
)
@limit_option
@click.option("--before", metavar="ID", help="The next page: orders older than this one.")
@click.option(
    "--late", is_flag=True, help="Only those that have not ended before their first deadline, 30 s."
)
@click.option("--count", is_flag=True, help="Only how many there are of each state.")
@click.option("--lag", is_flag=True, help="Only how far the database is behind the topics.")
@as_json
@with_health
@one_line_errors
@needs_database
def orders(
    states: tuple[str, ...],
    since: int | None,
    q: str,
    limit: int,
    before: str | None,
    late: bool,
    count: bool,
    lag: bool,
    as_json: bool,
) -> None:
    """List the orders, newest first, with what each step has done.

    \b
    saga orders
    saga orders --state CANCELLED --since 1h
    saga orders --late
    saga orders --q MUG --limit 10
    saga orders --before 4711 --json
    saga orders --lag

    It reads the order database, which `saga orderdb run` keeps up to date; SAGA_DB_URL says where that is.
    """
    from saga_app.orderdb.queries import orders, reading

    settings = Settings.read()
    if lag:
        _show_lag(settings, as_json=as_json)
        return
    choice = orders.OrderFilter(tuple(state.upper() for state in states), since, q)
    if late:
        of_late = orders.late(now())
        choice = choice._replace(until=of_late.until, statuses=choice.statuses or of_late.statuses)
    if count:
        counts = asyncio.run(reading.ask(settings, lambda connection: orders.counts(connection, choice)))
        for state, number in counts.items():
            show({"state": state, "number": number}, f"{number:>8}  {state}", as_json=as_json)
        return
    try:
        found = asyncio.run(
            reading.ask(settings, lambda connection: orders.page(connection, choice, limit, before))
        )
    except LookupError:
        raise CommandFailed(f"--before {before}: there is no such order") from None
    for each in found if as_json else ():
        show(_machine(each), "", as_json=True)
    if as_json:
        return
    print_lines(_lines(found, Screen.of_output()))
    if not found:
        click.echo("no orders")
    if len(found) == limit:
        click.echo(f"older ones: --before {found[-1]['order_id']}")


def _lines(orders: Sequence[Mapping[str, Any]], screen: Screen) -> Iterable[str]:
    """In a pipe, lines of equal columns; on a terminal, a table that fits, with a few words on each order."""
    if screen.width is None or not orders:
        return map(_line, orders)
    from saga_app.orderdb.present.summary import amount, listed_in_short
    from saga_app.times import clock

    rows = [
        [
            clock(each["placed_at"], now()),
            printable(each["order_id"]),
            screen.state(each["status"]),
            amount(each),
            printable(listed_in_short(each)),
        ]
        for each in orders
    ]
    return table(screen, ("placed (UTC)", "order", "state", "amount", "where"), rows, ("amount",))


def _machine(order: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **order,
        **{name: None if order[name] is None else written(order[name]) for name in _TIMES},
    }


def _line(order: Mapping[str, Any]) -> str:
    why = f"{order['reason']} at {order['step']}" if order["reason"] else ""
    columns = (
        written(order["placed_at"])[:19].replace("T", " "),
        f"{order['order_id']:<16}",
        f"{order['status']:<10}",
        f"{'' if order['amount'] is None else order['amount']:>12} {order['currency'] or '   '}",
        f"{order['customer_id'] or '':<12}",
        " ".join(f"{order[step] or '-':<7}" for step in _STEPS),
        why,
    )
    return "  ".join(columns).rstrip()


def _show_lag(settings: Settings, *, as_json: bool) -> None:
    behind = lag_by_topic(settings)
    for topic, number in behind.items():
        show({"topic": topic, "lag": number}, f"{number:>10}  {topic}", as_json=as_json)
    if not as_json:
        click.echo(f"{sum(behind.values()):>10}  in all")
