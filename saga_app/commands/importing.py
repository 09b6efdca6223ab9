"""`saga import`: places orders of other shop systems."""

from collections.abc import Iterator
from typing import BinaryIO

import click

from saga_app.commands.health_line import warn_without_workers
from saga_app.commands.render.output import WRONG_INPUT, as_json, one_line_errors, show
from saga_app.imports.mapping import FORMATS, LeftOut, Mapped, Outcome, outcomes
from saga_app.kafka.sender import Sender
from saga_app.settings import Settings
from saga_app.text import printable


@click.command("import")
@click.argument("format", type=click.Choice(list(FORMATS)), metavar="|".join(FORMATS))
@click.argument("file", type=click.File("rb"))
@click.option("--place", is_flag=True, help="Place what can be mapped. Without it, orders are only shown.")
@click.option(
    "--prefix",
    metavar="TEXT",
    help="Begins the ids of orders and customers, for a second shop of one system. [default: shopify, woo, magento, "
    "saleor; none for csv]",
)
@click.option("--warehouse", metavar="ID", help="Where the stock is taken from, if the file does not say.")
@as_json
@one_line_errors
def import_(
    format: str, file: BinaryIO, place: bool, prefix: str | None, warehouse: str | None, as_json: bool
) -> None:
    """Show what the orders in FILE would be here, and place them with --place; - is standard input.

    \b
    saga import shopify orders.json
    saga import shopify orders.json --place
    saga import csv orders.csv --warehouse north --place

    Every order has a line: placed, left out (it was cancelled, or its goods have left), or not mapped, with the reason.
    Order 450789469 of Shopify is always shopify-450789469, so importing a file again changes nothing. The exit code is
    2 if an order could not be mapped.
    """
    settings = Settings.read()
    found = list(outcomes(FORMATS[format], file.read(), prefix, warehouse))
    for outcome in found:
        _show(outcome, as_json=as_json)
    mapped = [each.record for each in found if isinstance(each, Mapped)]
    if place and mapped:
        Sender(settings).send_all(mapped)
        warn_without_workers(settings)
    left_out = sum(isinstance(each, LeftOut) for each in found)
    unmapped = len(found) - len(mapped) - left_out
    if not as_json:
        click.echo(_summary(len(mapped), left_out, unmapped, is_placed=place))
    if unmapped:
        raise SystemExit(WRONG_INPUT)


def _summary(mapped: int, left_out: int, unmapped: int, *, is_placed: bool) -> str:
    done = "placed" if is_placed else "would be placed"
    hint = "; --place places them" if mapped and not is_placed else ""
    return f"{done}: {mapped}, left out: {left_out}, not mapped: {unmapped}{hint}"


def _show(outcome: Outcome, *, as_json: bool) -> None:
    if isinstance(outcome, Mapped):
        order = outcome.record.model_dump(mode="json", exclude_none=True)
        mapped = {"name": outcome.name, "state": "mapped", "order": order, "notes": outcome.notes}
        show(mapped, "\n".join(map(printable, _lines(outcome))), as_json=as_json)
    else:
        state, words = (
            ("left_out", "left out") if isinstance(outcome, LeftOut) else ("not_mapped", "not mapped")
        )
        machine = {"name": outcome.name, "state": state, "why": outcome.why}
        show(machine, printable(f"{outcome.name}: {words}: {outcome.why}"), as_json=as_json)


def _lines(outcome: Mapped) -> Iterator[str]:
    order = outcome.record.order
    articles = ", ".join(f"{line.quantity} {line.sku}" for line in order.lines) or "no lines"
    yield f"{outcome.name}: {order.order_id}, {order.amount} {order.currency}, {articles}"
    for note in outcome.notes:
        yield f"    {note}"
