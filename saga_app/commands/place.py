"""`saga place` and `saga cancel`."""

import os
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Final

import click

from saga_app import topics, urls
from saga_app.commands.args import priced_article
from saga_app.commands.health_line import warn_without_workers
from saga_app.commands.render.output import (
    WRONG_INPUT,
    CommandFailed,
    as_json,
    one_line_errors,
    print_error,
    show,
)
from saga_app.core.errors import Fault, Rejected
from saga_app.core.records import CancellationRequested, OrderPlaced, Record
from saga_app.dead_letters.outcome import OutcomeReader
from saga_app.kafka.sender import Sender, Sent, checked, read
from saga_app.settings import Settings
from saga_app.wire import masked

#: Seconds in which a worker that is up takes a record and commits its offset.
WAIT: Final = 5.0


@click.command()
@click.argument("order", required=False, metavar="[ORDER_JSON | -]")
@click.option("--order-id", help="Id of the order: 1 to 64 of A-Z a-z 0-9 . _ - (none of . - first)")
@click.option("--amount", help="Amount in the currency's units; not needed if every line has a price.")
@click.option("--customer", "customer_id", metavar="ID", help="The customer whose account pays.")
@click.option("--currency", metavar="CODE", help="ISO 4217 code. [default: GBP]")
@click.option(
    "--line", "lines", multiple=True, metavar="SKU:QTY[:PRICE]", help="An article; may be repeated."
)
@click.option("--country", metavar="CODE", help="Where it goes to: ISO 3166 alpha-2 code.")
@click.option(
    "--payment-method", metavar="PROVIDER:NAME", help="What a provider can charge, such as stripe:pm_..."
)
@click.option(
    "--payment-reference",
    metavar="PROVIDER:NAME",
    help="A payment that the customer has begun at a provider.",
)
@click.option("--warehouse", metavar="ID", help="Where the stock is taken from. [default: main]")
@click.option("--file", type=click.File("rb"), help="Orders as JSON, one per line; - for standard input.")
@as_json
@one_line_errors
def place(
    order: str | None, file: BinaryIO | None, lines: tuple[str, ...], as_json: bool, **options: str | None
) -> None:
    """Place one order, or many from a file or from standard input.

    \b
    saga place --order-id 1 --amount 500
    saga place --order-id 2 --customer ada --line MUG:2:12.50 --line PEN:1:0.99 --country GB
    saga place '{"order_id": 3, "amount": "19.99"}'
    saga place --file orders.jsonl
    grep ada orders.jsonl | saga place -

    Orders are checked before they are sent. Of a file, the good lines are sent and the bad ones are named; the exit
    code is 2 if there was a bad one. Placing the same order again changes nothing, so you may place a file again that
    was cut short; other content under a known id becomes a dead letter.
    """
    settings = Settings.read()
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if lines:
        given["lines"] = [priced_article(line) for line in lines]
    if (order is not None) + (file is not None) + bool(given) > 1:
        raise click.UsageError("an order is given as JSON, by options, or in a file: one of them")
    if file is not None or order == "-":
        _place_all(file or click.get_binary_stream("stdin"), settings, as_json=as_json)
        return
    record = _order(_typed(order) if order is not None else checked(_with_id(given)))
    _show(record.order_id, Sender(settings).send(record), settings, as_json=as_json)
    warn_without_workers(settings)


@click.command()
@click.argument("order")
@click.option("--note", metavar="TEXT", help="Why, in at most 200 characters.")
@click.option(
    "--wait",
    metavar="SECONDS",
    type=click.FloatRange(0),
    default=WAIT,
    show_default=True,
    help="How long to wait until a worker has taken it.",
)
@as_json
@one_line_errors
def cancel(order: str, note: str | None, wait: float, as_json: bool) -> None:
    """Cancel ORDER, if it is not too late: it ends cancelled, or completed if its shipment was booked.

    \b
    saga cancel 1
    saga cancel 2 --note "customer called"

    The exit code is 1 if no such order was placed: the request is a dead letter then.
    """
    settings = Settings.read()
    record = checked({"type": "CancellationRequested", "order_id": order, "note": note})
    assert isinstance(record, CancellationRequested)
    sender = Sender(settings)
    sender.require_topic(topics.CHECKOUT)
    outcome = None
    if wait:
        sender.require_topic(topics.DEAD_LETTERS)
        outcome = OutcomeReader(settings)
    sent = sender.send(record)
    if outcome is not None:
        _require_taken(outcome, record, sent, wait)
    _show(record.order_id, sent, settings, as_json=as_json, what="cancellation of order")


def _require_taken(outcome: OutcomeReader, record: CancellationRequested, sent: Sent, seconds: float) -> None:
    """Raises `CommandFailed` if the request became a dead letter; says so if no worker has taken it."""
    try:
        letter = outcome.letter(sent, seconds)
    except TimeoutError:
        print_error(f"no worker has taken the request in {seconds:g} s; it waits in {sent.topic}")
        return
    if letter is not None:
        known = "" if letter.reason != Fault.UNKNOWN_ORDER else f"no order {record.order_id} was placed; "
        raise CommandFailed(
            f"{known}its cancellation is a dead letter, {letter.reason}; `saga dead-letters {letter.id}` shows it"
        )


def _typed(text: str) -> Record:
    """The record in a JSON argument."""
    if not text.lstrip().startswith("{"):
        raise Rejected(
            Fault.UNREADABLE,
            f'{masked(text)[:80]!r} is not an order in JSON, as in \'{{"order_id": 1, "amount": 500}}\'; '
            "an id is given with --order-id, a file with --file",
        )
    return read(os.fsencode(text))


def _with_id(fields: dict[str, Any]) -> dict[str, Any]:
    if "order_id" not in fields:
        raise Rejected(Fault.INVALID, "an order needs an id: --order-id ID, or the order as JSON")
    return fields


def _order(record: Record) -> OrderPlaced:
    if not isinstance(record, OrderPlaced):
        raise Rejected(Fault.INVALID, f"this is a {record.type}, not an order")
    return record


def _place_all(file: Iterable[bytes], settings: Settings, *, as_json: bool) -> None:
    """Sends the good lines and names each bad one; the exit code is 2 if there was a bad one."""
    ids: list[str] = []
    refused = 0

    def good() -> Iterator[OrderPlaced]:
        nonlocal refused
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                # Some editors begin a file with a byte order mark.
                order = _order(read((line.removeprefix(BOM_UTF8) if number == 1 else line).strip()))
            except Rejected as error:
                refused += 1
                print_error(f"line {number}: {error.fault}: {error.detail}")
            else:
                ids.append(order.order_id)
                yield order

    sent = Sender(settings).send_all(good())
    if sent:
        warn_without_workers(settings)
    if as_json:
        for order_id, each in zip(ids, sent, strict=True):
            _show(order_id, each, settings, as_json=True)
    else:
        click.echo(f"orders sent: {len(sent)}, lines refused: {refused}; see {_page('ORDER', settings)}")
    if refused:
        raise SystemExit(WRONG_INPUT)


def _show(order_id: str, sent: Sent, settings: Settings, *, as_json: bool, what: str = "order") -> None:
    page = _page(order_id, settings)
    machine = {"order_id": order_id, **sent._asdict(), "page": page}
    show(machine, f"{what} {order_id} {sent}; see {page}", as_json=as_json)


def _page(order_id: str, settings: Settings) -> str:
    return settings.canonical_url + urls.order(order_id)
