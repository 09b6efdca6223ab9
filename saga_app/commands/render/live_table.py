"""The live table of `saga watch`: it fills the terminal, and leaves it as it was."""

from typing import TYPE_CHECKING, Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from saga_app.commands.render.terminal import Screen
from saga_app.health.strip import Level
from saga_app.orderdb.present.summary import amount, listed_in_short
from saga_app.orderdb.queries.orders import Listed
from saga_app.text import printable
from saga_app.times import clock

if TYPE_CHECKING:
    from saga_app.commands.watch import Snapshot

#: Lines beside the orders: the numbers, two headings, the last line, and the empty lines.
_FRAME: Final = 8
_STYLES: Final = {Level.WELL: "dim", Level.WARN: "yellow", Level.BAD: "red"}
#: From so many columns on there is room for every field of an order.
_WIDE: Final = 90


class LiveTable:
    """Redraws the whole screen for each snapshot, whatever the size of the terminal is by then."""

    def __init__(self, screen: Screen, console: Console | None = None) -> None:
        self._screen = screen
        self._console = console or Console(no_color=not screen.colours, highlight=False)
        self._live = Live(console=self._console, screen=True, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.__exit__(None, None, None)

    def show(self, snapshot: "Snapshot") -> None:
        """Replaces the picture."""
        self._live.update(self.picture(snapshot), refresh=True)

    def picture(self, snapshot: "Snapshot") -> Group:
        """The numbers, the oldest open orders, and the newest orders in the lines that are left."""
        rows = max(2, self._console.height - _FRAME)
        open_ = snapshot.open[: max(1, rows // 2)]
        newest = snapshot.newest[: rows - max(1, len(open_))]
        return Group(
            Text(printable(snapshot.in_words())),
            Text(),
            *self._list("open, the oldest first", open_, snapshot.at),
            Text(),
            *self._list("newest", newest, snapshot.at),
            Text(),
            Text(
                f"Ctrl-C ends; {clock(snapshot.at, snapshot.at)} UTC; {printable(snapshot.health.in_words())}",
                style=_STYLES[snapshot.health.level] if self._screen.colours else "",
            ),
        )

    def _list(self, name: str, orders: list[Listed], at: int) -> tuple[Text, Table | Text]:
        if not orders:
            return Text(name, style="bold"), Text("none")
        wide = self._console.width >= _WIDE
        table = Table(box=None, show_header=False, pad_edge=False)
        for least in (19, 16, 8, 8, 12, 8) if wide else (16, 12, 8):
            table.add_column(no_wrap=True, overflow="ellipsis", min_width=least)
        for order in orders:
            table.add_row(*self._fields(order, at, wide=wide))
        return Text(name, style="bold"), table

    def _fields(self, order: Listed, at: int, *, wide: bool) -> list[Text]:
        state = f"{self._screen.shape(order['status'])} {order['status']}"
        fields = [
            Text(printable(order["order_id"])),
            Text(state, style=self._screen.colour(order["status"]) or ""),
            Text(printable(listed_in_short(order))),
        ]
        if wide:
            fields.insert(0, Text(clock(order["placed_at"], at)))
            fields[2:2] = [
                Text(amount(order)),
                Text(printable(order["customer_id"] or "")),
            ]
        return fields
