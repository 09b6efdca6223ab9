"""`saga refund`: gives back money of a completed order, and restocks its goods by choice."""

import time
import uuid
from collections.abc import Iterator
from typing import Any, Final

import click

from saga_app import topics, urls, wire
from saga_app.commands.args import article
from saga_app.commands.exit_codes import CommandExit
from saga_app.commands.health_line import warn_without_workers
from saga_app.commands.render.output import CommandFailed, as_json, one_line_errors, print_error, show
from saga_app.core.errors import Rejected
from saga_app.core.labels import why_not
from saga_app.core.records import RefundCompleted, RefundOpened, RefundRefused
from saga_app.dead_letters.format import LetterId
from saga_app.dead_letters.letter import Letter, read_letter
from saga_app.kafka import offsets
from saga_app.kafka.broker_errors import Admin
from saga_app.kafka.chunks import chunks
from saga_app.kafka.sender import DeliveryUnknown, Sender, Sent, checked
from saga_app.settings import Settings

#: Seconds between two looks.
PAUSE: Final = 0.1
#: The beginning of the two records that end a refund.
_ENDING: Final = (b'{"type":"RefundCompleted"', b'{"type":"RefundRefused"')

RefundEnding = RefundCompleted | RefundRefused


class RefundEndings:
    """Made before the refund is sent: its ending comes behind the ends that are known then."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin = Admin(settings)
        every = range(settings.partitions)
        self._places = [(topic, each) for topic in (topics.CHECKOUT, topics.DEAD_LETTERS) for each in every]
        self._next = dict(offsets.ends(self._admin, self._places))

    def wait(self, record: RefundOpened, sent: Sent, seconds: float | None) -> RefundEnding | Letter | None:
        """How the refund ended, or its dead letter; None if neither comes in so many seconds."""
        until = None if seconds is None else time.monotonic() + seconds
        while True:
            for found in self._new():
                if isinstance(found, Letter):
                    if found.id == LetterId(*sent):
                        return found
                elif (found.order_id, found.refund_id) == (record.order_id, record.refund_id):
                    return found
            if until is not None and time.monotonic() >= until:
                return None
            time.sleep(PAUSE)

    def _new(self) -> Iterator[RefundEnding | Letter]:
        """The endings of refunds and the dead letters that came since the last call."""
        for place, end in offsets.ends(self._admin, self._places).items():
            start, self._next[place] = self._next[place], end
            for chunk in chunks(self._settings.kafka, *place, start, end):
                for message in chunk:
                    if place[0] == topics.DEAD_LETTERS:
                        if (letter := read_letter(message)) is not None:
                            yield letter
                    elif (ending := _ending(message.value() or b"")) is not None:
                        yield ending


def _ending(value: bytes) -> RefundEnding | None:
    if not value.startswith(_ENDING):
        return None
    try:
        record = wire.decode(value)
    except Rejected:
        return None
    return record if isinstance(record, RefundEnding) else None


@click.command()
@click.argument("order")
@click.option(
    "--amount", help="What to give back, in the currency of the order. [default: all that is left of it]"
)
@click.option(
    "--line", "lines", multiple=True, metavar="SKU:QTY", help="Units that came back; may be repeated."
)
@click.option("--restock", is_flag=True, help="Put the units into the stock of the order's warehouse.")
@click.option(
    "--id", "own_id", metavar="ID", help="For one order, the same id twice counts once. [default: a new one]"
)
@click.option("--note", metavar="TEXT", help="Why, in at most 200 characters.")
@click.option("--wait", is_flag=True, help="Wait until the refund has ended; the exit code tells how.")
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(0),
    help="With --wait: for how long. [default: as long as it takes]",
)
@as_json
@one_line_errors
def refund(
    order: str,
    lines: tuple[str, ...],
    own_id: str | None,
    wait: bool,
    timeout: float | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Give back money of ORDER, which has completed, and restock its goods if you say so.

    \b
    saga refund 1
    saga refund 1 --restock --wait
    saga refund 2 --amount 12.50 --line MUG:1 --restock --id return-17
    saga refund 2 --amount 5 --note "came late"

    Without --amount it gives back all that is left of the order: its money, and with --restock its units. An order may
    have several refunds, which never give back more than was paid or taken. With --wait the exit code tells how it
    ended: 0 completed, 3 refused, 4 not ended in time, 1 a dead letter.
    """
    settings = Settings.read()
    if timeout is not None and not wait:
        raise click.UsageError("--timeout is for --wait")
    own_id = own_id or uuid.uuid4().hex
    fields = {"type": "RefundOpened", "order_id": order, "refund_id": own_id}
    given = {name: value for name, value in options.items() if value}
    record = checked(fields | given | ({"lines": [article(line) for line in lines]} if lines else {}))
    assert isinstance(record, RefundOpened)
    endings = RefundEndings(settings) if wait else None
    try:
        sent = Sender(settings).send(record)
    except DeliveryUnknown as error:
        raise CommandFailed(
            f"{error}; the record may be there all the same, so send it again with --id {own_id}"
        ) from error
    page = settings.canonical_url + urls.order(record.order_id)
    machine = {"order_id": record.order_id, "refund_id": own_id, **sent._asdict(), "page": page}
    show(machine, f"refund {own_id} of order {record.order_id} {sent}; see {page}", as_json=as_json)
    warn_without_workers(settings)
    if endings is not None:
        raise SystemExit(_tell(endings.wait(record, sent, timeout), record, timeout, as_json=as_json))


def _tell(
    found: RefundEnding | Letter | None, record: RefundOpened, seconds: float | None, *, as_json: bool
) -> int:
    """Prints how the refund ended; returns the exit code."""
    what = f"refund {record.refund_id} of order {record.order_id}"
    if found is None:
        print_error(
            f"{what} has not ended in {seconds:g} s: `saga history {record.order_id}` shows where it is. "
            "Nothing is lost, and nothing was taken back"
        )
        return CommandExit.NOT_ENDED
    if isinstance(found, Letter):
        print_error(f"{what} is a dead letter, {found.reason}; `saga dead-letters {found.id}` shows it")
        return CommandExit.FAILED
    reason = found.reason if isinstance(found, RefundRefused) else None
    status = "COMPLETED" if reason is None else "REFUSED"
    words = "completed" if reason is None else f"refused: {why_not(reason)}"
    machine = {"order_id": record.order_id, "refund_id": record.refund_id, "status": status, "reason": reason}
    show({**machine, "words": words}, f"{what} {words}", as_json=as_json)
    return CommandExit.DONE if reason is None else CommandExit.CANCELLED
