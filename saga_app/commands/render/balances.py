"""What `saga stock` and `saga accounts` share: a list of balances, and of one name who has what of it."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import click

from saga_app.commands.copy_lag import behind
from saga_app.commands.render.output import Failed, say, show
from saga_app.commands.render.terminal import Screen, table
from saga_app.core.row_keys import parts_of_balance
from saga_app.orderdb.present import reconciliation
from saga_app.orderdb.queries import accounts, orders, reading, stock
from saga_app.settings import Settings
from saga_app.text import printable
from saga_app.times import clock, now, written


class Kind(NamedTuple):
    """What is told of a balance: the two names that it has, its amounts, and what an order that has some of it has.

    `asked` is the module that asks for it, `adds_up` makes the line which says that nothing is missing.
    """

    names: tuple[str, str]
    amounts: tuple[str, ...]
    asked: Any
    adds_up: Callable[..., reconciliation.Reconciliation]
    held: tuple[str, ...]


STOCK: Final = Kind(
    ("warehouse", "sku"),
    ("received", "available", "reserved", "sold"),
    stock,
    reconciliation.of_stock,
    ("quantity", "customer_id"),
)
ACCOUNTS: Final = Kind(
    ("customer_id", "currency"),
    ("deposited", "balance", "reserved", "paid"),
    accounts,
    reconciliation.of_account,
    ("amount",),
)


class Told(NamedTuple):
    """One balance, how it adds up, and the newest orders that have some of it."""

    balance: Any
    sum: reconciliation.Reconciliation
    holders: list[orders.Listed]


def show_page(
    settings: Settings, kind: Kind, limit: int, after: str | None, as_json: bool, **choice: str
) -> None:
    """The balances after `after`, in the order of their names."""
    last = None if after is None else pair(after, kind)
    page = asyncio.run(reading.ask(settings, lambda each: kind.asked.page(each, limit, last, **choice)))
    columns = (*kind.names, *kind.amounts)
    for each in page if as_json else ():
        show({name: getattr(each, name) for name in columns}, "", as_json=True)
    if as_json:
        return
    rows = [[_text(getattr(each, name)) for name in columns] for each in page]
    say(table(Screen.of_output(), columns, rows, kind.amounts) if page else ["none"])
    if len(page) == limit:
        click.echo(f"more: --after {':'.join(map(printable, page[-1][:2]))}")


def show_one(
    settings: Settings, kind: Kind, name: str, limit: int, as_json: bool, *, open_only: bool, where: str = ""
) -> None:
    """The balances of this SKU or customer, of SKUs only `where`, and who has what; `Failed` if there are none."""
    found = asyncio.run(reading.ask(settings, lambda each: _one(each, kind, name, limit, open_only)))
    found = [told for told in found if where in ("", told.balance[0])]
    if not found:
        raise Failed(f"{name} is not in the order database; {behind(settings).in_words()}")
    screen = Screen.of_output()
    for told in found:
        if as_json:
            show(_machine(kind, told), "", as_json=True)
            continue
        names = " ".join(printable(each) for each in told.balance[:2])
        say(screen.wrapped(f"{names}: {told.sum.in_words()}", 2))
        if told.holders:
            say(
                table(
                    screen,
                    ("order", "state", *kind.held, "placed (UTC)"),
                    _holders(kind, told, screen),
                    kind.held[:1],
                )
            )
        if len(told.holders) == limit:
            click.echo(f"these are the newest {limit}; --limit shows more")


def pair(text: str, kind: Kind) -> tuple[str, str]:
    """The last balance of the page before, as it was shown."""
    try:
        return parts_of_balance(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is not written as {':'.join(kind.names)}", param_hint="--after"
        ) from None


async def _one(connection: Any, kind: Kind, name: str, limit: int, open_only: bool) -> list[Told]:
    accounted = await kind.asked.accounted(connection, name)
    return [
        Told(
            balance,
            kind.adds_up(balance, accounted.get(balance[:2], {})),
            await kind.asked.holders(connection, balance[:2], limit, open_only=open_only),
        )
        for balance in await kind.asked.one(connection, name)
    ]


def _machine(kind: Kind, told: Told) -> dict[str, Any]:
    return {
        **{name: getattr(told.balance, name) for name in (*kind.names, *kind.amounts)},
        "words": told.sum.in_words(),
        "unaccounted": told.sum.unaccounted,
        "orders": [{**each, "placed_at": written(each["placed_at"])} for each in told.holders],
    }


def _holders(kind: Kind, told: Told, screen: Screen) -> Sequence[Sequence[str]]:
    return [
        [
            printable(each["order_id"]),
            screen.state(each["status"]),
            *(_text(each[name]) for name in kind.held),
            clock(each["placed_at"], now()),
        ]
        for each in told.holders
    ]


def _text(value: Any) -> str:
    return printable(value or "") if isinstance(value, str | None) else f"{value:,}"
