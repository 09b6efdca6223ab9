"""`saga deposit` and `saga receive`."""

import uuid
from typing import Any

import click

from saga_app.commands.output import as_json, show, told
from saga_app.commands.place import line_of
from saga_app.commands.sending import Sender, checked
from saga_app.settings import Settings


@click.command()
@click.argument("customer")
@click.argument("amount")
@click.option("--currency", default="GBP", show_default=True, help="ISO 4217 code.")
@click.option(
    "--id", "deposit_id", help="Id of the deposit: the same id twice counts once. [default: a new one]"
)
@as_json
@told
def deposit(customer: str, amount: str, currency: str, deposit_id: str | None, as_json: bool) -> None:
    """Put money into a customer's account; it is opened by the first deposit.

    \b
    saga deposit ada 250.00
    saga deposit ada 30 --currency EUR --id refund-17
    """
    deposit_id = deposit_id or uuid.uuid4().hex
    fields = {"type": "FundsDeposited", "deposit_id": deposit_id, "customer_id": customer}
    row = f"accounts/{customer}:{currency}"
    _send(fields | {"currency": currency, "amount": amount}, "deposit", deposit_id, row, as_json=as_json)


@click.command()
@click.argument("lines", nargs=-1, required=True, metavar="SKU:QTY...")
@click.option("--warehouse", default="main", show_default=True, help="Id of the warehouse.")
@click.option(
    "--id", "delivery_id", help="Id of the delivery: the same id twice counts once. [default: a new one]"
)
@as_json
@told
def receive(lines: tuple[str, ...], warehouse: str, delivery_id: str | None, as_json: bool) -> None:
    """Receive stock into a warehouse.

    \b
    saga receive MUG:100 PEN:500
    saga receive MUG:20 --warehouse north --id note-4711
    """
    delivery_id = delivery_id or uuid.uuid4().hex
    fields = {"type": "StockReceived", "delivery_id": delivery_id, "warehouse": warehouse}
    parsed = [line_of(line) for line in lines]
    row = f"stock/{warehouse}:{parsed[0]['sku']}"
    _send(fields | {"lines": parsed}, "delivery", delivery_id, row, as_json=as_json)


def _send(fields: dict[str, Any], what: str, own_id: str, row: str, *, as_json: bool) -> None:
    settings = Settings.read()
    sent = Sender(settings).send(checked(fields))
    page = f"{settings.canonical_url}/table/{row}/"
    show(
        {f"{what}_id": own_id, **sent._asdict(), "page": page},
        f"{what} {own_id} {sent}; see {page}",
        as_json=as_json,
    )
