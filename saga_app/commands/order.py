"""`saga order`: where one order is, why, and what happens next; from the order database."""

import asyncio
from typing import TYPE_CHECKING, Final

import click

from saga_app.commands.completion import order_ids
from saga_app.commands.copy_lag import copy_lag
from saga_app.commands.health_line import health_watch, with_health
from saga_app.commands.needs_database import needs_database
from saga_app.commands.render.output import (
    CANCELLED,
    NOT_ENDED,
    CommandFailed,
    as_json,
    exit_with,
    one_line_errors,
    print_error,
    print_lines,
    show,
)
from saga_app.commands.render.terminal import Screen
from saga_app.core.rows import Status
from saga_app.health.readings import Readings
from saga_app.health.strip import strip
from saga_app.settings import Settings
from saga_app.times import now

if TYPE_CHECKING:
    from saga_app.orderdb.queries.order import OrderDetails

#: Seconds from one query of `--follow` to the next.
POLL_INTERVAL: Final = 0.3
#: Queries without a change after which a line says how old the copy is.
QUIET_POLLS: Final = 15
#: Queries for which an ended order may lack the record that ended it: the record is copied on its own.
LAST_RECORD_POLLS: Final = 3


@click.command()
@click.argument("order_id", metavar="ORDER", shell_complete=order_ids)
@click.option("--follow", is_flag=True, help="Go on until it has ended; exit code 3 if it ended cancelled.")
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(0, min_open=True),
    help="With --follow: for how long; exit code 4 if it has not ended then. [default: as long as it takes]",
)
@click.option("--raw", is_flag=True, help="Show the rows of the order database too, as they are.")
@as_json
@with_health
@one_line_errors
@needs_database
def order(order_id: str, follow: bool, timeout: float | None, raw: bool, as_json: bool) -> None:
    """Tell where ORDER is and why, what happens next, and what has happened.

    \b
    saga order 4711
    saga order 4711 --follow && echo completed
    saga order 4711 --json | jq -r .words

    First one sentence, then the route with its compensations below it, then everything that happened; times in UTC.
    It reads the order database, which `saga orderdb run` keeps up to date; `saga history ORDER` reads Kafka. Exit
    codes: 0, with --follow only if the order was completed; 1 it is not there, or only as a dead letter; 3 with
    --follow: it was cancelled; 4 with --timeout: it has not ended in time.
    """
    settings = Settings.read()
    if timeout is not None and not follow:
        raise click.UsageError("--timeout is for --follow")
    if follow:
        status = asyncio.run(_follow_for(settings, order_id, timeout, as_json=as_json))
        raise SystemExit(CANCELLED if status is Status.CANCELLED else 0)
    _show(settings, _find(settings, order_id), raw=raw, as_json=as_json)


def _find(settings: Settings, order_id: str) -> "OrderDetails":
    from saga_app.orderdb.queries import reading
    from saga_app.orderdb.queries.order import find

    return asyncio.run(reading.ask(settings, lambda connection: find(connection, order_id)))


def _show(settings: Settings, found: "OrderDetails", *, raw: bool, as_json: bool) -> None:
    from saga_app.commands.render import order_page
    from saga_app.orderdb.present import order_json

    standing = found.status
    lag = None if standing is not None and standing.has_ended else copy_lag(settings)
    if found.order is None and not found.events:
        letters = f"; {len(found.letters)} dead letters name it" if found.letters else ""
        raise CommandFailed(
            f"order {found.order_id} is not in the order database{letters}; {lag.in_words() if lag else ''}; "
            f"`saga history {found.order_id}` reads Kafka"
        )
    if as_json:
        rows = {"rows": order_page.rows(found)} if raw else {}
        show({**order_json.as_json(found, now()), "behind": lag and lag.records, **rows}, "", as_json=True)
        return
    screen = Screen.of_output()
    print_lines(order_page.page(found, now(), screen))
    if lag is not None:
        print_lines(screen.wrapped(f"This is a copy; {lag.in_words()}."))
    if raw:
        print_lines(("", *order_page.raw(found)))


async def _follow_for(settings: Settings, order_id: str, seconds: float | None, *, as_json: bool) -> Status:
    try:
        return await asyncio.wait_for(_follow(settings, order_id, as_json=as_json), seconds)
    except TimeoutError:
        exit_with(f"order {order_id} has not ended in {seconds:g} s", NOT_ENDED)


async def _follow(settings: Settings, order_id: str, *, as_json: bool) -> Status:
    """Shows each change until the order has ended; returns how it ended."""
    from saga_app.commands.render.order_page import JsonChanges, TextChanges
    from saga_app.orderdb.queries import reading
    from saga_app.orderdb.queries.order import find

    changes = JsonChanges() if as_json else TextChanges(Screen.of_output())
    before, quiet, health = None, 0, health_watch()
    async with reading.open_to_read(settings) as database:
        while True:
            async with database.transaction() as connection:
                found = await find(connection, order_id)
            quiet = quiet + 1 if found == before else 0
            if quiet == 0:
                changes.show(found)
            if found.status is not None and _has_all_of_its_end(found, quiet):
                changes.end(found)
                return found.status.status
            if quiet % QUIET_POLLS == QUIET_POLLS - 1:
                state = "is not there yet" if found.status is None else "has not changed"
                readings = await health.fresh()
                if found.status is None and found.letters and _is_copied(readings):
                    raise CommandFailed(_only_letters(found))
                print_error(f"order {order_id} {state}; {strip(readings, now()).in_words()}")
            before = found
            await asyncio.sleep(POLL_INTERVAL)


def _is_copied(readings: Readings | None) -> bool:
    """True if the order database certainly has all that is in the topics."""
    copied = None if readings is None or readings.kafka is None else readings.kafka.copy
    return copied is not None and copied.records == 0


def _only_letters(found: "OrderDetails") -> str:
    """Its records became dead letters, and all that is in the topics is copied."""
    number = f"{len(found.letters)} dead letter{'s' if len(found.letters) > 1 else ''}"
    return (
        f"order {found.order_id} was not placed: there is only {number} of it; "
        f"`saga dead-letters --order {found.order_id}` says why"
    )


def _has_all_of_its_end(found: "OrderDetails", quiet: int) -> bool:
    """True if the order has ended, and the record that ended it is copied or overdue."""
    standing = found.status
    if standing is None or not standing.has_ended:
        return False
    last = "OrderCompleted" if standing.status is Status.COMPLETED else "OrderCancelled"
    return last in standing.first or quiet >= LAST_RECORD_POLLS
