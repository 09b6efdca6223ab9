"""Balances, for `saga stock` and `saga accounts`: a list of them, and one with the orders that hold parts of it."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import click

from saga_app.commands.copy_lag import copy_lag
from saga_app.commands.render.output import CommandFailed, print_lines, show
from saga_app.commands.render.terminal import Screen, table
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
    settings: Settings, kind: BalanceTable, limit: int, after: str | None, as_json: bool, **choice: str
) -> None:
    """Prints the balances behind `after`, in the order of their names."""
    last = None if after is None else pair(after, kind)
    page = asyncio.run(reading.ask(settings, lambda each: kind.queries.page(each, limit, last, **choice)))
    columns = (*kind.names, *kind.amounts)
    for each in page if as_json else ():
        show({name: getattr(each, name) for name in columns}, "", as_json=True)
    if as_json:
        return
    rows = [[_text(getattr(each, name)) for name in columns] for each in page]
    print_lines(table(Screen.of_output(), columns, rows, kind.amounts) if page else ["none"])
    if len(page) == limit:
        click.echo(f"more: --after {':'.join(map(printable, page[-1][:2]))}")


def show_one(
    settings: Settings,
    kind: BalanceTable,
    name: str,
    limit: int,
    as_json: bool,
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
    screen = Screen.of_output()
    for report in found:
        if as_json:
            show(_machine(kind, report), "", as_json=True)
            continue
        names = " ".join(printable(each) for each in report.balance[:2])
        print_lines(screen.wrapped(f"{names}: {report.sum.in_words()}", 2))
        if report.holders:
            print_lines(
                table(
                    screen,
                    ("order", "state", *kind.held, "placed (UTC)"),
                    _holders(kind, report, screen),
                    kind.held[:1],
                )
            )
        if len(report.holders) == limit:
            click.echo(f"these are the newest {limit}; --limit shows more")


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


def _holders(kind: BalanceTable, report: BalanceReport, screen: Screen) -> Sequence[Sequence[str]]:
    return [
        [
            printable(each["order_id"]),
            screen.state(each["status"]),
            *(_text(each[name]) for name in kind.held),
            clock(each["placed_at"], now()),
        ]
        for each in report.holders
    ]


def _text(value: Any) -> str:
    return printable(value or "") if isinstance(value, str | None) else f"{value:,}"
