"""Money and stock that come and go without an order, each under an id that counts once."""

import uuid
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import click

from saga_app import topics, urls
from saga_app.commands.args import article, difference
from saga_app.commands.health_line import warn_without_workers
from saga_app.commands.render.output import CommandFailed, as_json, one_line_errors, print_error, show
from saga_app.core.labels import why
from saga_app.core.records import (
    FundsDeposited,
    FundsReason,
    FundsWithdrawn,
    Record,
    StockAdjusted,
    StockReason,
    StockReceived,
)
from saga_app.core.row_keys import adjustment_key, withdrawal_key
from saga_app.core.rows import JournalRow
from saga_app.dead_letters.outcome import OutcomeReader
from saga_app.engine.stores.changelog import KafkaChangelog, leave_out
from saga_app.kafka import offsets
from saga_app.kafka.broker_errors import Admin
from saga_app.kafka.sender import DeliveryUnknown, Sender, Sent, checked
from saga_app.settings import Settings

#: Seconds until a worker must have taken a withdrawal or an adjustment, unless the person says otherwise.
TAKEN_IN: Final = 10.0


def own_id_of(owner: str) -> Callable[..., Any]:
    """The option `--id`."""
    text = f"For one {owner}, the same id twice counts once. [default: a new one]"
    return click.option("--id", "own_id", metavar="ID", help=text)


wait_for_worker: Final = click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(0),
    default=TAKEN_IN,
    show_default=True,
    help="For how long to wait until a worker has decided it; 0: do not wait.",
)


@click.command()
@click.argument("customer")
@click.argument("amount")
@click.option("--currency", metavar="CODE", default="GBP", show_default=True, help="ISO 4217 code.")
@own_id_of("customer")
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
@own_id_of("warehouse")
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


@click.command()
@click.argument("customer")
@click.argument("amount")
@click.option("--currency", metavar="CODE", default="GBP", show_default=True, help="ISO 4217 code.")
@click.option(
    "--reason",
    type=click.Choice([each.value for each in FundsReason]),
    default=FundsReason.PAYOUT.value,
    show_default=True,
)
@click.option("--note", metavar="TEXT", help="More about it, in at most 200 characters.")
@own_id_of("customer")
@wait_for_worker
@as_json
@one_line_errors
def withdraw(
    customer: str,
    amount: str,
    currency: str,
    reason: str,
    note: str | None,
    own_id: str | None,
    timeout: float,
    as_json: bool,
) -> None:
    """Take AMOUNT out of CUSTOMER's account, never more than is there.

    \b
    saga withdraw ada 20.00
    saga withdraw bob 5 --currency EUR --reason fee --note "chargeback" --id fee-17

    The exit code is 1 if it is refused, since less is there; nothing is taken then. An id that was refused stays so:
    try again with another one.
    """
    own_id = own_id or uuid.uuid4().hex
    fields = {"type": "FundsWithdrawn", "withdrawal_id": own_id, "customer_id": customer, "amount": amount}
    record = checked(fields | {"currency": currency, "reason": reason, "note": note})
    assert isinstance(record, FundsWithdrawn)
    page = urls.row("accounts", f"{record.customer_id}:{record.currency}")
    key = withdrawal_key(record.customer_id, own_id)
    _send(record, "withdrawal", own_id, [page], Decides("payments", key, timeout), as_json=as_json)


@click.command()
@click.argument("lines", nargs=-1, required=True, metavar="SKU:DIFFERENCE...")
@click.option(
    "--reason",
    type=click.Choice([each.value for each in StockReason]),
    required=True,
    help="Only a stocktake finds more units.",
)
@click.option("--warehouse", metavar="ID", default="main", show_default=True, help="Where it is.")
@click.option("--note", metavar="TEXT", help="More about it, in at most 200 characters.")
@own_id_of("warehouse")
@wait_for_worker
@as_json
@one_line_errors
def adjust(
    lines: tuple[str, ...],
    reason: str,
    warehouse: str,
    note: str | None,
    own_id: str | None,
    timeout: float,
    as_json: bool,
) -> None:
    """Correct the stock of a warehouse by differences; all lines are one adjustment, made whole or refused.

    \b
    saga adjust MUG:-3 --reason damage
    saga adjust MUG:-1 PEN:4 --reason stocktake --warehouse north --id count-2026

    A difference is what is there less what is known (`saga stock`): orders go on while somebody counts. Units that
    orders have reserved are not taken away: the exit code is 1 if fewer are available, and nothing is changed.
    """
    own_id = own_id or uuid.uuid4().hex
    fields: dict[str, Any] = {"type": "StockAdjusted", "adjustment_id": own_id, "warehouse": warehouse}
    record = checked(fields | {"reason": reason, "note": note, "lines": [difference(each) for each in lines]})
    assert isinstance(record, StockAdjusted)
    pages = [urls.row("stock", f"{record.warehouse}:{line.sku}") for line in record.lines]
    key = adjustment_key(record.warehouse, own_id)
    _send(record, "adjustment", own_id, pages, Decides("reservations", key, timeout), as_json=as_json)


class Decides(NamedTuple):
    """The row in which a worker writes its decision, and for how many seconds it is waited for."""

    table: str
    key: str
    seconds: float


def _send(
    record: Record,
    what: str,
    own_id: str,
    paths: list[str],
    decides: Decides | None = None,
    *,
    as_json: bool,
) -> None:
    """Sends the record, and prints the page of each balance that it changes; with `decides`, what came of it."""
    settings = Settings.read()
    waits = decides is not None and decides.seconds > 0
    watch = SupplyWatch(settings, decides) if waits and decides is not None else None
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
    if watch is not None:
        watch.require_done(what, own_id, sent)


class SupplyWatch:
    """Made before the record is sent: the row of its decision comes behind the end that is known then."""

    def __init__(self, settings: Settings, decides: Decides) -> None:
        self._settings = settings
        self._decides = decides
        self._outcome = OutcomeReader(settings)
        topic = topics.changelog(settings.app_id, decides.table)
        places = [(topic, each) for each in range(settings.partitions)]
        self._ends = offsets.ends(Admin(settings), places)
        self._topic = topic

    def require_done(self, what: str, own_id: str, sent: Sent) -> None:
        """Raises `CommandFailed` if it was refused or is a dead letter; says so if no worker has taken it."""
        try:
            letter = self._outcome.letter(sent, self._decides.seconds)
        except TimeoutError:
            print_error(f"no worker has taken it in {self._decides.seconds:g} s; it waits in {sent.topic}")
            return
        if letter is not None:
            raise CommandFailed(
                f"{what} {own_id} is a dead letter, {letter.reason}; `saga dead-letters {letter.id}` shows it"
            )
        row = self._row(sent.partition)
        if row is None:
            print_error(f"{what} {own_id} was decided before: the same id counts once")
        elif row.reason is not None:
            raise CommandFailed(f"{what} {own_id} is refused: {why(row.reason)}; nothing was changed")

    def _row(self, partition: int) -> JournalRow | None:
        place = (self._topic, partition)
        end = offsets.ends(Admin(self._settings), [place])[place]
        log = KafkaChangelog(self._settings.kafka, *place, end, leave_out)
        key, newest = self._decides.key.encode(), None
        for rows in log.read(self._ends[place], end):
            newest = next((row for _, name, row in reversed(rows) if name == key), newest)
        return None if newest is None else JournalRow.decode(newest)
