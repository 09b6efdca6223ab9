"""`saga watch`: all orders at a glance, again and again; from the order database."""

import asyncio
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from saga_app.commands.health_line import print_trouble
from saga_app.commands.needs_database import needs_database
from saga_app.commands.render.output import as_json, one_line_errors, print_error, show
from saga_app.commands.render.terminal import Screen
from saga_app.core.labels import OPEN, STATES
from saga_app.health.read import HealthWatch
from saga_app.health.readings import Readings
from saga_app.health.strip import Strip, strip
from saga_app.settings import Settings
from saga_app.times import clock, now, written

if TYPE_CHECKING:
    from saga_app.orderdb.queries.orders import Listed

#: Orders of each list: more than a screen shows.
MOST: Final = 100


class Snapshot(NamedTuple):
    """The orders at one moment.

    `late` counts the orders that have not ended before their first deadline; `oldest_late` is when the oldest of them
    was placed. `open` and `newest` are empty if nobody shows them. `behind` counts the records that are not copied; it
    is None if that is not known.
    """

    at: int
    counts: dict[str, int]
    late: int
    oldest_late: int | None
    open: list["Listed"]
    newest: list["Listed"]
    behind: int | None
    health: Strip

    def as_json(self) -> dict[str, Any]:
        """The numbers for machines."""
        return {
            "orders": {state: self.counts.get(state, 0) for state in STATES},
            "late": self.late,
            "oldest_late": None if self.oldest_late is None else written(self.oldest_late),
            "behind": self.behind,
        }

    def in_words(self) -> str:
        """The numbers for people."""
        counts = "  ".join(f"{state.lower()} {self.counts.get(state, 0):,}" for state in STATES)
        oldest = (
            "" if self.oldest_late is None else f" (the oldest placed {clock(self.oldest_late, self.at)})"
        )
        lag = "?" if self.behind is None else f"{self.behind:,}"
        return f"{counts}  late {self.late:,}{oldest}  behind {lag}"


@click.command()
@click.option(
    "--every",
    default=1.0,
    metavar="SECONDS",
    type=click.FloatRange(0.1, 3600),
    show_default=True,
    help="From one look to the next.",
)
@as_json
@one_line_errors
@needs_database
def watch(every: float, as_json: bool) -> None:
    """Watch the orders until Ctrl-C: how many there are of each state, which are open or late, the newest.

    \b
    saga watch
    saga watch --every 5 >> orders.log
    saga watch --json | jq .late

    On a terminal it is a live table; elsewhere it prints a line whenever a number changes. An order is late if it has
    not ended 30 seconds after it was placed, its first deadline. `behind` is the number of records that the order
    database does not have yet.
    """
    try:
        asyncio.run(_watch(Settings.read(), every, as_json=as_json))
    except asyncio.CancelledError:
        raise click.Abort from None


async def _watch(settings: Settings, every: float, *, as_json: bool) -> None:
    """Shows snapshots until SIGTERM or Ctrl-C."""
    _cancel_on_sigterm()
    screen = Screen.of_output()
    if screen.width is not None and not as_json:
        from saga_app.commands.render.live_table import LiveTable

        with LiveTable(screen) as live:
            await _poll(settings, every, live.show, with_lists=True)
    last: list[dict[str, Any]] = []
    told: list[tuple[str, ...]] = [()]

    def print_change(snapshot: Snapshot) -> None:
        trouble = tuple(f"{sign.what} {sign.level}" for sign in snapshot.health.trouble)
        if told != [trouble]:
            told[:] = [trouble]
            print_trouble(snapshot.health) if trouble else print_error("all is well again")
        machine = snapshot.as_json()
        if last != [machine]:
            last[:] = [machine]
            time = written(snapshot.at)
            people = f"{time[:19].replace('T', ' ')}  {snapshot.in_words()}"
            show({"at": time, **machine}, people, as_json=as_json)

    await _poll(settings, every, print_change, with_lists=False)


def _cancel_on_sigterm() -> None:
    """SIGTERM ends the command as Ctrl-C does: the terminal is left as it was."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


async def _poll(
    settings: Settings, every: float, handle: Callable[[Snapshot], None], *, with_lists: bool
) -> None:
    from saga_app.orderdb.queries import reading

    health = HealthWatch(settings)
    await health.fresh()
    async with reading.open_to_read(settings) as database:
        while True:
            async with database.transaction() as connection:
                handle(await _snapshot(connection, health.latest(), with_lists=with_lists))
            await asyncio.sleep(every)


async def _snapshot(connection: Any, readings: Readings | None, *, with_lists: bool) -> Snapshot:
    from saga_app.orderdb.queries import orders

    at = now()
    late = orders.late(at)
    everything = orders.OrderFilter()
    are_open = orders.OrderFilter(OPEN)
    copy = None if readings is None or readings.kafka is None else readings.kafka.copy
    return Snapshot(
        at,
        await orders.counts(connection, everything),
        sum((await orders.counts(connection, late)).values()),
        await orders.oldest(connection, late),
        await orders.page(connection, are_open, MOST, sort=orders.Sort.OLDEST) if with_lists else [],
        await orders.page(connection, everything, MOST) if with_lists else [],
        None if copy is None else copy.records,
        strip(readings, at),
    )
