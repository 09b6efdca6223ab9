"""Follows one order in the order database until it has ended."""

import asyncio
from typing import Final

from saga_app.commands.copy_lag import in_background
from saga_app.commands.render import order_page
from saga_app.commands.render.output import complain, say, show
from saga_app.commands.render.terminal import Screen
from saga_app.core.rows import Status
from saga_app.orderdb.present.order_json import as_json as machine
from saga_app.orderdb.present.summary import sentence
from saga_app.orderdb.present.timeline import timeline
from saga_app.orderdb.queries import order, reading
from saga_app.orderdb.queries.order import OrderDetails
from saga_app.settings import Settings
from saga_app.times import now

#: Seconds between two looks; looks without a change after which is said how old the copy is.
EVERY: Final = 0.3
SILENCE: Final = 15
#: Looks for which an order that has ended may lack the record that ended it: that is copied by itself.
PATIENCE: Final = 3


async def follow(settings: Settings, order_id: str, *, as_json: bool) -> Status:
    """Shows what changes, as it comes; how the order ended. Raises what the order database raises."""
    tell = _Machine() if as_json else _People()
    before, quiet = None, 0
    async with reading.open_to_read(settings) as database:
        while True:
            async with database.transaction() as connection:
                found = await order.find(connection, order_id)
            quiet = quiet + 1 if found == before else 0
            if quiet == 0:
                tell.change(found)
            if found.status is not None and _is_told(found, quiet):
                tell.end(found)
                return found.status.status
            if quiet % SILENCE == SILENCE - 1:
                where = "is not there yet" if found.status is None else "has not changed"
                age = await in_background(settings)
                complain(f"order {order_id} {where}; of the copy: {age.in_words()}")
            before = found
            await asyncio.sleep(EVERY)


def _is_told(found: OrderDetails, quiet: int) -> bool:
    """Whether it has ended, and the record of it is there or will not come any more."""
    standing = found.status
    if standing is None or not standing.has_ended:
        return False
    last = "OrderCompleted" if standing.status is Status.COMPLETED else "OrderCancelled"
    return last in standing.first or quiet >= PATIENCE


class _Machine:
    """The whole order after each change."""

    def change(self, found: OrderDetails) -> None:
        show(machine(found, now()), "", as_json=True)

    def end(self, found: OrderDetails) -> None:
        """The last change has told it."""


class _People:
    """Each record once, and what the order waits for whenever that is something else."""

    def __init__(self) -> None:
        self._screen = Screen.of_output()
        self._told: set[str] = set()
        self._waits = ""

    def change(self, found: OrderDetails) -> None:
        lines = timeline(found.events, found.letters, found.steps)
        for line in lines:
            if line.place not in self._told:
                say(order_page.event(line, now(), self._screen))
        self._told.update(line.place for line in lines)
        standing = found.status
        if standing is not None and not standing.has_ended and sentence(standing).what != self._waits:
            self._waits = sentence(standing).what
            say(self._screen.wrapped(sentence(standing).in_words(now())))

    def end(self, found: OrderDetails) -> None:
        say(order_page.head(found, now(), self._screen))
