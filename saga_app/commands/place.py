"""`saga place` and `saga cancel`."""

from collections.abc import Iterator
from typing import Any, TextIO

import click

from saga_app import wire
from saga_app.commands.output import WRONG_INPUT, as_json, end, show, told
from saga_app.commands.sending import Sender, Sent, checked
from saga_app.core.errors import Fault, Rejected
from saga_app.core.records import CancellationRequested, OrderPlaced
from saga_app.settings import Settings


@click.command()
@click.argument("order", required=False)
@click.option("--order-id", help="Id of the order: 1 to 64 of A-Z a-z 0-9 . _ -")
@click.option("--amount", help="Amount in the currency's units; not needed if every line has a price.")
@click.option("--customer", help="Id of the customer whose account pays.")
@click.option("--currency", help="ISO 4217 code. [default: GBP]")
@click.option(
    "--line", "lines", multiple=True, metavar="SKU:QTY[:PRICE]", help="An article; may be repeated."
)
@click.option("--country", help="ISO 3166 alpha-2 code of the country that it goes to.")
@click.option("--warehouse", help="Where the stock is taken from. [default: main]")
@click.option(
    "--file", "file", type=click.File("r"), help="Orders as JSON, one per line; - for standard input."
)
@as_json
@told
def place(
    order: str | None, file: TextIO | None, lines: tuple[str, ...], as_json: bool, **options: str | None
) -> None:
    """Place one order, or many from a file.

    \b
    saga place --order-id 1 --amount 500
    saga place --order-id 2 --customer ada --line MUG:2:12.50 --line PEN:1:0.99 --country GB
    saga place '{"order_id": 3, "amount": "19.99"}'
    saga place --file orders.jsonl

    An order placed twice with the same content is one order; with another content it is refused.
    """
    settings = Settings.read()
    if file is not None:
        _place_all(file, settings, as_json=as_json)
        return
    record = _order(wire.decode(order.encode()) if order else checked(_fields(lines, options)))
    _shown(record.order.order_id, Sender(settings).send(record), settings, as_json=as_json)


@click.command()
@click.argument("order")
@click.option("--note", help="Why, in at most 200 characters.")
@as_json
@told
def cancel(order: str, note: str | None, as_json: bool) -> None:
    """Cancel an order, if it is not too late: it ends cancelled, or completed if its shipment was booked.

    \b
    saga cancel 1
    saga cancel 2 --note "customer called"
    """
    settings = Settings.read()
    fields = {"type": "CancellationRequested", "order_id": order, "note": note}
    record = checked({name: value for name, value in fields.items() if value is not None})
    assert isinstance(record, CancellationRequested)
    _shown(
        record.order_id,
        Sender(settings).send(record),
        settings,
        as_json=as_json,
        what="cancellation of order",
    )


def _place_all(file: TextIO, settings: Settings, *, as_json: bool) -> None:
    """Good lines are sent; each bad one is named, and the exit code says that there was one."""
    sender = Sender(settings)
    bad = 0

    def good() -> Iterator[OrderPlaced]:
        nonlocal bad
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                yield _order(wire.decode(line.encode()))
            except Rejected as error:
                bad += 1
                click.echo(f"saga: line {number}: {error.fault}: {error.detail}", err=True)

    sent = sender.send_all(good())
    show({"placed": len(sent), "refused": bad}, f"{len(sent)} orders placed, {bad} refused", as_json=as_json)
    if bad:
        end(f"{bad} lines were refused, the others were sent", WRONG_INPUT)


def _fields(lines: tuple[str, ...], options: dict[str, str | None]) -> dict[str, Any]:
    names = {"customer": "customer_id"}
    fields: dict[str, Any] = {
        names.get(name, name): value for name, value in options.items() if value is not None
    }
    if lines:
        fields["lines"] = [line_of(line) for line in lines]
    if "order_id" not in fields:
        raise Rejected(Fault.INVALID, "order_id: an order needs an id (--order-id, or JSON as the argument)")
    return fields


def line_of(text: str) -> dict[str, Any]:
    """The fields of SKU:QUANTITY or SKU:QUANTITY:PRICE; `Rejected` if it is not written so."""
    parts = text.split(":")
    if len(parts) not in (2, 3) or not parts[1].isdecimal():
        raise Rejected(
            Fault.INVALID, f"line {text}: it is written SKU:QUANTITY or SKU:QUANTITY:PRICE, as in MUG:2:12.50"
        )
    line: dict[str, Any] = {"sku": parts[0], "quantity": int(parts[1])}
    return line | ({"unit_price": parts[2]} if len(parts) == 3 else {})


def _order(record: Any) -> OrderPlaced:
    if not isinstance(record, OrderPlaced):
        raise Rejected(Fault.INVALID, f"this is a {record.type}, not an order")
    return record


def _shown(order_id: str, sent: Sent, settings: Settings, *, as_json: bool, what: str = "order") -> None:
    page = f"{settings.canonical_url}/table/orders/{order_id}/"
    show(
        {"order_id": order_id, **sent._asdict(), "page": page},
        f"{what} {order_id} {sent}; see {page}",
        as_json=as_json,
    )
