"""Balances, for `saga stock` and `saga accounts`: a list of them, and one with the orders that hold parts of it."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import click

from saga_app.commands.copy_lag import copy_lag
from saga_app.commands.render.listing import Column, Listing, show_note, show_rows
from saga_app.commands.render.output import CommandFailed, Output, print_lines, show
from saga_app.commands.render.terminal import Screen
from saga_app.orderdb.present import reconciliation
from saga_app.orderdb.queries import accounts, orders, reading, stock
from saga_app.settings import Settings
from saga_app.text import printable
from saga_app.times import clock, now, written


class BalanceTable(NamedTuple):
    """A kind of balance: its two names, its amounts, and the columns of an order that holds a part of it.

    `queries` is the module that reads the balances; `adds_up` makes the sentence which says that nothing is missing.
    """

    names: tuple[str, str]
    amounts: tuple[str, ...]
    queries: Any
    adds_up: Callable[..., reconciliation.Reconciliation]
    held: tuple[str, ...]


STOCK: Final = BalanceTable(
    ("warehouse", "sku"),
    ("received", "available", "reserved", "sold"),
    stock,
    reconciliation.of_stock,
    ("quantity", "customer_id"),
)
ACCOUNTS: Final = BalanceTable(
    ("customer_id", "currency"),
    ("deposited", "balance", "reserved", "paid"),
    accounts,
    reconciliation.of_account,
    ("amount",),
)


class BalanceReport(NamedTuple):
    """One balance, how it adds up, and the newest orders that hold a part of it."""

    balance: Any
    sum: reconciliation.Reconciliation
    holders: list[orders.Listed]


def show_page(
    settings: Settings, kind: BalanceTable, limit: int, after: str | None, output: Output, **choice: str
) -> None:
    """Prints the balances behind `after`, in the order of their names."""
    last = None if after is None else pair(after, kind)
    page = asyncio.run(reading.ask(settings, lambda each: kind.queries.page(each, limit, last, **choice)))
    show_rows(_balances(kind), page, output)
    if len(page) == limit:
        show_note(f"more: --after {':'.join(map(printable, page[-1][:2]))}", output)


def show_one(
    settings: Settings,
    kind: BalanceTable,
    name: str,
    limit: int,
    output: Output,
    *,
    open_only: bool,
    where: str = "",
) -> None:
    """Prints the balances of a SKU or customer with their holders; of a SKU in one warehouse, if `where` names it.

    `CommandFailed` if there is no balance.
    """
    found = asyncio.run(reading.ask(settings, lambda each: _one(each, kind, name, limit, open_only)))
    found = [report for report in found if where in ("", report.balance[0])]
    if not found:
        raise CommandFailed(f"{name} is not in the order database; {copy_lag(settings).in_words()}")
    if output in (Output.CSV, Output.NAME):
        show_rows(_holders(kind), [each for report in found for each in report.holders], output)
        return
    screen = Screen.of_output()
    for report in found:
        if output == Output.JSON:
            show(_machine(kind, report), "", as_json=True)
            continue
        names = " ".join(printable(each) for each in report.balance[:2])
        print_lines(screen.wrapped(f"{names}: {report.sum.in_words()}", 2))
        if report.holders:
            show_rows(_holders(kind), report.holders, output)
        if len(report.holders) == limit:
            show_note(f"these are the newest {limit}; --limit shows more", output)


def pair(text: str, kind: BalanceTable) -> tuple[str, str]:
    """The names of the last balance of the page before, from its printed form."""
    first, colon, second = text.partition(":")
    if not colon:
        raise click.BadParameter(f"{text!r} is not written as {':'.join(kind.names)}", param_hint="--after")
    return first, second


async def _one(
    connection: Any, kind: BalanceTable, name: str, limit: int, open_only: bool
) -> list[BalanceReport]:
    accounted = await kind.queries.accounted(connection, name)
    return [
        BalanceReport(
            balance,
            kind.adds_up(balance, accounted.get(balance[:2], {})),
            await kind.queries.holders(connection, balance[:2], limit, open_only=open_only),
        )
        for balance in await kind.queries.one(connection, name)
    ]


def _machine(kind: BalanceTable, report: BalanceReport) -> dict[str, Any]:
    return {
        **{name: getattr(report.balance, name) for name in (*kind.names, *kind.amounts)},
        "words": report.sum.in_words(),
        "unaccounted": report.sum.unaccounted,
        "orders": [{**each, "placed_at": written(each["placed_at"])} for each in report.holders],
    }


def _balances(kind: BalanceTable) -> Listing:
    names = (*kind.names, *kind.amounts)

    def column(name: str) -> Column:
        return Column(name, lambda row, screen: _text(getattr(row, name)), name in kind.amounts)

    return Listing(
        [column(name) for name in names],
        lambda row: {name: getattr(row, name) for name in names},
        lambda row: str(row.sku if "sku" in kind.names else row.customer_id),
        names,
        "none",
    )


def _holders(kind: BalanceTable) -> Listing:
    def column(name: str) -> Column:
        return Column(name, lambda row, screen: _text(row[name]), name == kind.held[0])

    return Listing(
        (
            Column("order", lambda row, screen: printable(row["order_id"])),
            Column("state", lambda row, screen: screen.state(row["status"])),
            *map(column, kind.held),
            Column("placed (UTC)", lambda row, screen: clock(row["placed_at"], now())),
        ),
        lambda row: {**row, "placed_at": written(row["placed_at"])},
        lambda row: str(row["order_id"]),
        ("order_id", "status", *kind.held, "placed_at"),
        "none",
    )


def _text(value: Any) -> str:
    return printable(value or "") if isinstance(value, str | None) else f"{value:,}"
