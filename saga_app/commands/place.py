"""`saga place` and `saga cancel`."""

import os
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import click

from saga_app import topics, urls
from saga_app.commands.args import named_text, priced_article
from saga_app.commands.completion import open_order_ids
from saga_app.commands.endings import EndWatch, tell
from saga_app.commands.exit_codes import CommandExit
from saga_app.commands.health_line import warn_without_workers
from saga_app.commands.order_input import order_of, orders_in
from saga_app.commands.render.output import CommandFailed, as_json, one_line_errors, print_error, show
from saga_app.core.errors import Fault, Rejected
from saga_app.core.patience import LONGEST
from saga_app.core.records import CancellationRequested, OrderPlaced, Record
from saga_app.dead_letters.outcome import OutcomeReader
from saga_app.kafka.sender import Sender, Sent, checked, read
from saga_app.settings import Settings
from saga_app.wire import masked

#: Seconds in which a worker that is up takes a record and commits its offset.
TAKEN_IN: Final = 5.0

wait_option: Final = click.option(
    "--wait", is_flag=True, help="Wait until the order has ended; the exit code tells how."
)


@click.command()
@click.argument("order", required=False, metavar="[ORDER_JSON | -]")
@click.option("--order-id", help="Id of the order: 1 to 64 of A-Z a-z 0-9 . _ - (none of . - first)")
@click.option("--amount", help="Amount in the currency's units; not needed if every line has a price.")
@click.option("--shipping", metavar="AMOUNT", help="A part of the amount: what the shipment costs.")
@click.option("--tax", metavar="AMOUNT", help="A part of the amount: tax that the prices do not include.")
@click.option(
    "--discount", metavar="AMOUNT", help="What is taken off: lines + shipping + tax - discount = amount."
)
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
@click.option(
    "--patience",
    metavar="SECONDS",
    type=click.IntRange(1, LONGEST),
    help="The order is given up and undone if it has not ended after so long. [default: by the policy, or 930]",
)
@click.option("--warehouse", metavar="ID", help="Where the stock is taken from. [default: main]")
@click.option("--reference", metavar="TEXT", help="Your own name of the order; up to 128 characters.")
@click.option(
    "--metadata", "named", metavar="NAME=TEXT", multiple=True, help="A text of your own; may be repeated."
)
@click.option(
    "--file",
    type=click.File("rb"),
    help="Orders as JSON: one per line, over many lines, or an array; - for standard input.",
)
@wait_option
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(0),
    help="With --wait: for how long; exit code 4 if an order has not ended then. [default: as long as it takes]",
)
@as_json
@one_line_errors
def place(
    order: str | None,
    file: BinaryIO | None,
    lines: tuple[str, ...],
    named: tuple[str, ...],
    wait: bool,
    timeout: float | None,
    as_json: bool,
    **options: str | int | None,
) -> None:
    """Place one order, or many from a file or from standard input.

    \b
    saga place --order-id 1 --amount 500
    saga place --order-id 2 --customer ada --line MUG:2:12.50 --line PEN:1:0.99 --country GB
    saga place '{"order_id": 3, "amount": "19.99"}' --wait && echo completed
    saga place --file orders.json
    grep ada orders.jsonl | saga place -

    Orders are checked before they are sent. Of a file, the good orders are sent and the bad ones are named; the exit
    code is 2 if there was a bad one. Placing the same order again changes nothing, so you may place a file again that
    was cut short; other content under a known id becomes a dead letter. With --wait the exit code tells of the worst
    ending: 0 completed, 3 cancelled, 4 not ended in time, 1 a dead letter. `saga try` tells before what would happen.
    """
    settings = Settings.read()
    if timeout is not None and not wait:
        raise click.UsageError("--timeout is for --wait")
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if lines:
        given["lines"] = [priced_article(line) for line in lines]
    if named:
        given["metadata"] = dict(map(named_text, named))
    if (order is not None) + (file is not None) + bool(given) > 1:
        raise click.UsageError("an order is given as JSON, by options, or in a file: one of them")
    reader = EndWatch(settings) if wait else None
    if file is not None or order == "-":
        sent, code = _place_all(file or click.get_binary_stream("stdin"), settings, as_json=as_json)
    else:
        record = order_of(_typed(order) if order is not None else checked(_with_id(given)))
        sent, code = {record.order_id: Sender(settings).send(record)}, int(CommandExit.DONE)
        _show(record.order_id, sent[record.order_id], settings, as_json=as_json)
        warn_without_workers(settings)
    if reader is not None:
        code = code or tell(reader, sent, timeout, as_json=as_json)
    raise SystemExit(code)


@click.command()
@click.argument("order", shell_complete=open_order_ids)
@click.option("--note", metavar="TEXT", help="Why, in at most 200 characters.")
@wait_option
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(0),
    help=f"For how long to wait: until a worker has taken it [default: {TAKEN_IN:g}; 0: do not wait], or with --wait "
    "until the order has ended [default: as long as it takes].",
)
@as_json
@one_line_errors
def cancel(order: str, note: str | None, wait: bool, timeout: float | None, as_json: bool) -> None:
    """Cancel ORDER, if it is not too late: it ends cancelled, or completed if its shipment was booked.

    \b
    saga cancel 1
    saga cancel 2 --note "customer called"
    saga cancel 3 --wait --timeout 60

    An order that is not here yet is cancelled when it comes. With --wait it tells how the order ended: 3 cancelled,
    0 completed all the same, 4 not ended in time.
    """
    settings = Settings.read()
    record = checked({"type": "CancellationRequested", "order_id": order, "note": note})
    assert isinstance(record, CancellationRequested)
    sender = Sender(settings)
    sender.require_topic(topics.CHECKOUT)
    if wait or timeout != 0:
        sender.require_topic(topics.DEAD_LETTERS)
    reader = EndWatch(settings) if wait else None
    outcome = None if wait or timeout == 0 else OutcomeReader(settings)
    sent = sender.send(record)
    if outcome is not None:
        _require_taken(outcome, record, sent, TAKEN_IN if timeout is None else timeout)
    _show(record.order_id, sent, settings, as_json=as_json, what="cancellation of order")
    if reader is not None:
        raise SystemExit(tell(reader, {record.order_id: sent}, timeout, as_json=as_json))


def _require_taken(outcome: OutcomeReader, record: CancellationRequested, sent: Sent, seconds: float) -> None:
    """Raises `CommandFailed` if the request became a dead letter; says so if no worker has taken it."""
    try:
        letter = outcome.letter(sent, seconds)
    except TimeoutError:
        print_error(f"no worker has taken the request in {seconds:g} s; it waits in {sent.topic}")
        return
    if letter is not None:
        raise CommandFailed(
            f"the cancellation of order {record.order_id} is a dead letter, {letter.reason}; "
            f"`saga dead-letters {letter.id}` shows it"
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


def _place_all(file: BinaryIO, settings: Settings, *, as_json: bool) -> tuple[dict[str, Sent], int]:
    """Sends the good orders and names each bad one; their places, and the exit code 2 if there was a bad one."""
    ids: list[str] = []
    refused = 0

    def good() -> Iterator[OrderPlaced]:
        nonlocal refused
        for line, order in orders_in(file):
            if isinstance(order, Rejected):
                refused += 1
                print_error(f"line {line}: {order.fault}: {order.detail}")
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
        click.echo(f"orders sent: {len(sent)}, refused: {refused}; see {_page('ORDER', settings)}")
    return dict(zip(ids, sent, strict=True)), int(CommandExit.WRONG_INPUT if refused else CommandExit.DONE)


def _show(order_id: str, sent: Sent, settings: Settings, *, as_json: bool, what: str = "order") -> None:
    page = _page(order_id, settings)
    machine = {"order_id": order_id, **sent._asdict(), "page": page}
    show(machine, f"{what} {order_id} {sent}; see {page}", as_json=as_json)


def _page(order_id: str, settings: Settings) -> str:
    return settings.canonical_url + urls.order(order_id)
