"""Looks at the order database again and again: how many orders there are of each state, which are open, the newest."""

import asyncio
import signal
from typing import Any, Final, NamedTuple

from saga_app.commands.copy_lag import Behind, in_background
from saga_app.commands.render.output import show
from saga_app.commands.render.terminal import Screen
from saga_app.core.rows import OPEN_STATUSES, Status
from saga_app.orderdb.queries import orders, reading
from saga_app.orderdb.queries.orders import Listed, OrderFilter
from saga_app.settings import Settings
from saga_app.times import clock, now, written

#: Orders of each list that are asked for: more than a screen shows.
MOST: Final = 100
#: Looks from one question to the broker, how old the copy is, to the next.
ASK_EVERY: Final = 5
_OPEN: Final = OrderFilter(tuple(sorted(OPEN_STATUSES)))


class Look(NamedTuple):
    """What was seen at once. `late` are orders that have not ended before their first deadline.

    `oldest` is when the oldest of these was placed; `open` and `newest` are empty where nobody shows them.
    """

    at: int
    counts: dict[str, int]
    late: int
    oldest: int | None
    open: list[Listed]
    newest: list[Listed]
    behind: Behind

    def as_json(self) -> dict[str, Any]:
        """The numbers."""
        return {
            "orders": {status.value: self.counts.get(status, 0) for status in Status},
            "late": self.late,
            "oldest_late": None if self.oldest is None else written(self.oldest),
            "behind": self.behind.records,
        }

    def in_words(self) -> str:
        """The same for people."""
        counts = "  ".join(f"{status.lower()} {self.counts.get(status, 0):,}" for status in Status)
        oldest = "" if self.oldest is None else f" (the oldest placed {clock(self.oldest, self.at)})"
        lag = "?" if self.behind.records is None else f"{self.behind.records:,}"
        return f"{counts}  late {self.late:,}{oldest}  behind {lag}"


async def watch(settings: Settings, every: float, *, as_json: bool) -> None:
    """Until SIGTERM or Ctrl-C: a live table on a terminal, else a line whenever a number changes."""
    _end_in_order()
    screen = Screen.of_output()
    if screen.width is not None and not as_json:
        from saga_app.commands.render.live_table import Live

        with Live(screen) as live:
            await _look(settings, every, live.show, lists_too=True)
    last: list[dict[str, Any]] = []

    def tell(look: Look) -> None:
        machine = look.as_json()
        if last != [machine]:
            last[:] = [machine]
            time = written(look.at)
            show(
                {"at": time, **machine}, f"{time[:19].replace('T', ' ')}  {look.in_words()}", as_json=as_json
            )

    await _look(settings, every, tell, lists_too=False)


def _end_in_order() -> None:
    """SIGTERM ends it as Ctrl-C does: the terminal is left as it was."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


async def _look(settings: Settings, every: float, tell: Any, *, lists_too: bool) -> None:
    age = await in_background(settings)
    looks = 0
    async with reading.open_to_read(settings) as database:
        while True:
            async with database.transaction() as connection:
                tell(await _seen(connection, age, lists_too=lists_too))
            looks += 1
            await asyncio.sleep(every)
            if looks % ASK_EVERY == 0:
                age = await in_background(settings)


async def _seen(connection: Any, age: Behind, *, lists_too: bool) -> Look:
    at = now()
    late = orders.late(at)
    return Look(
        at,
        await orders.counts(connection, OrderFilter()),
        sum((await orders.counts(connection, late)).values()),
        await orders.oldest(connection, late),
        await orders.page(connection, _OPEN, MOST, oldest_first=True) if lists_too else [],
        await orders.page(connection, OrderFilter(), MOST) if lists_too else [],
        age,
    )
