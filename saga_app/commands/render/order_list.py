"""The columns of `saga orders`."""

from collections.abc import Mapping
from typing import Any, Final

from saga_app.commands.render.listing import Column, Listing
from saga_app.commands.render.terminal import Screen
from saga_app.core.route import STEPS
from saga_app.orderdb.present.summary import amount, listed_in_short
from saga_app.text import printable
from saga_app.times import clock, now, written

_STEPS: Final = tuple(step.name.value for step in STEPS)
_TIMES: Final = ("placed_at", "since", "ended_at")


def _step(name: str) -> Column:
    """The state of one step, as a shape and a word."""

    def text(row: Mapping[str, Any], screen: Screen) -> str:
        return f"{screen.mark(row[name])} {row[name].lower()}" if row[name] else screen.mark(None)

    return Column(name, text, is_wide=True)


def _machine(order: Mapping[str, Any]) -> dict[str, Any]:
    times = {name: None if order[name] is None else written(order[name]) for name in _TIMES}
    return {**order, **times}


#: Rows of `queries.orders.page`.
ORDERS: Final = Listing(
    (
        Column("placed (UTC)", lambda row, screen: clock(row["placed_at"], now())),
        Column("order", lambda row, screen: printable(row["order_id"])),
        Column("state", lambda row, screen: screen.state(row["status"])),
        Column("amount", lambda row, screen: amount(row), is_right=True),
        Column("where", lambda row, screen: printable(listed_in_short(row))),
        Column("customer", lambda row, screen: printable(row["customer_id"] or ""), is_wide=True),
        *map(_step, _STEPS),
        Column(
            "ended (UTC)",
            lambda row, screen: "" if row["ended_at"] is None else clock(row["ended_at"], now()),
            is_wide=True,
        ),
    ),
    _machine,
    lambda row: str(row["order_id"]),
    (
        "order_id",
        "status",
        "reason",
        "step",
        "customer_id",
        "currency",
        "amount",
        "country",
        "warehouse",
        *_TIMES,
        *_STEPS,
    ),
    "no orders",
)
