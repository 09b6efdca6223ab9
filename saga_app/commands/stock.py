"""`saga stock` and `saga accounts`: balances, and the orders that hold parts of them; from the order database."""

from collections.abc import Callable
from typing import Any

import click

from saga_app.commands.args import limit_option
from saga_app.commands.health_line import with_health
from saga_app.commands.needs_database import needs_database
from saga_app.commands.render.output import Output, as_list, one_line_errors
from saga_app.settings import Settings


def _list_options(last: str, open_only: str) -> Callable[[Any], Any]:
    options = (
        click.option("--open", "open_only", is_flag=True, help=open_only),
        limit_option,
        click.option("--after", metavar=last, help="The next page: the rows behind this one."),
    )

    def add(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return add


@click.command()
@click.argument("sku", required=False, metavar="[SKU]")
@click.option("--q", default="", metavar="TEXT", help="Only articles whose SKU begins so.")
@click.option("--warehouse", default="", metavar="ID", help="Only of this warehouse.")
@_list_options("WAREHOUSE:SKU", "With SKU: only open orders, for which it is reserved.")
@as_list
@with_health
@one_line_errors
@needs_database
def stock(
    sku: str | None, q: str, warehouse: str, open_only: bool, limit: int, after: str | None, output: Output
) -> None:
    """List the stock of each article; of one SKU, tell which orders have it, newest first.

    \b
    saga stock
    saga stock MUG
    saga stock MUG --open
    saga stock --q MU --warehouse main --json

    Received units are available, reserved for open orders, or sold. It reads the order database, which
    `saga orderdb run` keeps up to date; `saga audit` proves the numbers from Kafka.
    """
    from saga_app.commands.render.balances import STOCK, show_one, show_page

    settings = Settings.read()
    if sku is None:
        show_page(settings, STOCK, limit, after, output, q=q, warehouse=warehouse)
    else:
        show_one(settings, STOCK, sku, limit, output, open_only=open_only, where=warehouse)


@click.command()
@click.argument("customer", required=False, metavar="[CUSTOMER]")
@click.option("--q", default="", metavar="TEXT", help="Only customers who begin so.")
@_list_options("CUSTOMER:CURRENCY", "With CUSTOMER: only open orders, which may still give it back.")
@as_list
@with_health
@one_line_errors
@needs_database
def accounts(
    customer: str | None, q: str, open_only: bool, limit: int, after: str | None, output: Output
) -> None:
    """List the accounts; of one CUSTOMER, tell which orders were paid from it, newest first.

    \b
    saga accounts
    saga accounts ada
    saga accounts ada --open
    saga accounts --q ad --json

    Deposited money is there, reserved for open orders, or paid. It reads the order database, which `saga orderdb run`
    keeps up to date; `saga audit` proves the numbers from Kafka.
    """
    from saga_app.commands.render.balances import ACCOUNTS, show_one, show_page

    settings = Settings.read()
    if customer is None:
        show_page(settings, ACCOUNTS, limit, after, output, q=q)
    else:
        show_one(settings, ACCOUNTS, customer, limit, output, open_only=open_only)
