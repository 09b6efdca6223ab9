"""`saga deposit` and `saga receive`: bring money and stock, under an id that counts once."""

import uuid
from typing import Any

import click

from saga_app import urls
from saga_app.commands.args import article
from saga_app.commands.health_line import warn_without_workers
from saga_app.commands.render.output import CommandFailed, as_json, one_line_errors, show
from saga_app.core.records import FundsDeposited, Record, StockReceived
from saga_app.kafka.sender import DeliveryUnknown, Sender, checked
from saga_app.settings import Settings


@click.command()
@click.argument("customer")
@click.argument("amount")
@click.option("--currency", metavar="CODE", default="GBP", show_default=True, help="ISO 4217 code.")
@click.option(
    "--id",
    "own_id",
    metavar="ID",
    help="For one customer, the same id twice counts once. [default: a new one]",
)
@as_json
@one_line_errors
def deposit(customer: str, amount: str, currency: str, own_id: str | None, as_json: bool) -> None:
    """Put AMOUNT into CUSTOMER's account; the first deposit opens it, in its currency.

    \b
    saga deposit ada 250.00
    saga deposit bob 30 --currency EUR --id refund-17

    A customer without any account pays each order up to the limit. With the first deposit, a customer pays out of
    accounts: orders in a currency without one are refused.
    """
    own_id = own_id or uuid.uuid4().hex
    fields = {"type": "FundsDeposited", "deposit_id": own_id, "customer_id": customer, "currency": currency}
    record = checked(fields | {"amount": amount})
    assert isinstance(record, FundsDeposited)
    page = urls.row("accounts", f"{record.customer_id}:{record.currency}")
    _send(record, "deposit", own_id, [page], as_json=as_json)


@click.command()
@click.argument("lines", nargs=-1, required=True, metavar="SKU:QTY...")
@click.option("--warehouse", metavar="ID", default="main", show_default=True, help="Where it arrives.")
@click.option(
    "--id",
    "own_id",
    metavar="ID",
    help="For one warehouse, the same id twice counts once. [default: a new one]",
)
@as_json
@one_line_errors
def receive(lines: tuple[str, ...], warehouse: str, own_id: str | None, as_json: bool) -> None:
    """Receive stock into a warehouse; all lines are one delivery.

    \b
    saga receive MUG:100 PEN:500
    saga receive MUG:20 --warehouse north --id note-4711
    """
    own_id = own_id or uuid.uuid4().hex
    fields: dict[str, Any] = {"type": "StockReceived", "delivery_id": own_id, "warehouse": warehouse}
    record = checked(fields | {"lines": [article(line) for line in lines]})
    assert isinstance(record, StockReceived)
    skus = dict.fromkeys(line.sku for line in record.lines)
    pages = [urls.row("stock", f"{record.warehouse}:{sku}") for sku in skus]
    _send(record, "delivery", own_id, pages, as_json=as_json)


def _send(record: Record, what: str, own_id: str, paths: list[str], *, as_json: bool) -> None:
    """Sends the record, and prints the page of each balance that it changes."""
    settings = Settings.read()
    try:
        sent = Sender(settings).send(record)
    except DeliveryUnknown as error:
        raise CommandFailed(
            f"{error}; the record may be there all the same, so send it again with --id {own_id}"
        ) from error
    pages = [settings.canonical_url + path for path in paths]
    machine = {f"{what}_id": own_id, **sent._asdict(), "pages": pages}
    more = f" and {len(pages) - 1} more" if len(pages) > 1 else ""
    show(machine, f"{what} {own_id} {sent}; see {pages[0]}{more}", as_json=as_json)
    warn_without_workers(settings)
