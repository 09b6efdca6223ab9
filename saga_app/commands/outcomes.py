"""`saga outcomes`: how orders ended, as everybody outside hears it; and the repair of that topic."""

import heapq
import tempfile
import time
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from saga_app import topics
from saga_app.commands.args import TimeParam
from saga_app.commands.completion import order_ids
from saga_app.commands.needs_topics import require_topics
from saga_app.commands.render.output import as_json, one_line_errors, show
from saga_app.core.labels import why
from saga_app.core.records import Reason
from saga_app.core.rows import Status
from saga_app.kafka import offsets
from saga_app.kafka.broker_errors import Admin
from saga_app.kafka.chunks import chunks
from saga_app.kafka.messages import Place, located
from saga_app.kafka.order_outcomes import HeardOutcome, OrderOutcomeReader
from saga_app.kafka.sender import Sender
from saga_app.kafka.signatures import Signatures
from saga_app.operator_log import log_action
from saga_app.settings import Settings
from saga_app.text import printable

#: Seconds from one look at the ends of the topic to the next.
PAUSE: Final = 0.2
#: Outcomes that are written together.
_AT_A_TIME: Final = 500
_STATES: Final = {"completed": Status.COMPLETED, "cancelled": Status.CANCELLED}


class OutcomeChoice(NamedTuple):
    """The outcomes to show."""

    order_ids: frozenset[str] = frozenset()
    state: str | None = None
    reason: str | None = None
    customer: str | None = None

    def takes(self, heard: HeardOutcome) -> bool:
        """True if it is one of them; removals never are."""
        if heard.value is None or (self.order_ids and heard.order_id not in self.order_ids):
            return False
        outcome = heard.outcome
        wanted = ((self.state, outcome.state), (self.reason, outcome.reason))
        return all(each in (None, is_) for each, is_ in (*wanted, (self.customer, outcome.customer_id)))


@click.command()
@click.argument("orders", nargs=-1, metavar="[ORDER]...", shell_complete=order_ids)
@click.option("--state", type=click.Choice(list(_STATES)), help="Only with this ending.")
@click.option("--reason", type=click.Choice([each.value for each in Reason]), help="Only with this reason.")
@click.option("--customer", metavar="ID", help="Only of this customer.")
@click.option(
    "--since", metavar="TIME", type=TimeParam(), help="Only told since a time, or 30m, 12h, 7d ago."
)
@click.option("--follow", is_flag=True, help="Go on with those that come, until Ctrl-C.")
@click.option(
    "--mend", is_flag=True, help="Write what is missing or wrong anew, from the rows of the orders."
)
@click.option("--dry-run", is_flag=True, help="With --mend: only tell what would be written.")
@as_json
@one_line_errors
def outcomes(
    orders: tuple[str, ...],
    state: str | None,
    reason: str | None,
    customer: str | None,
    since: int | None,
    follow: bool,
    mend: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Print how orders ended, as the topic `order_outcomes` tells it to everybody outside.

    \b
    saga outcomes --since 1h
    saga outcomes --follow --json | jq .order_id
    saga outcomes --state cancelled --reason out_of_stock
    saga outcomes --mend --dry-run

    An outcome stays in the topic for as long as its order stays in the tables (SAGA_ORDER_RETENTION). One that was
    told twice is printed twice, with the same id. --mend is for a topic that was lost, or is new, or for a breach of
    I14; workers may go on meanwhile, and who listens hears again what is written anew.
    """
    choice = OutcomeChoice(frozenset(orders), None if state is None else _STATES[state], reason, customer)
    if mend and (follow or since is not None or any(choice)):
        raise click.UsageError("--mend takes all orders: no filter, and no --follow")
    if dry_run and not mend:
        raise click.UsageError("--dry-run is for --mend")
    settings = Settings.read()
    require_topics(settings)
    if mend:
        _mend(settings, dry_run=dry_run, as_json=as_json)
        return
    for place, offset, heard in _outcomes(settings, since, follow=follow):
        if choice.takes(heard):
            machine = {"id": heard.id, "place": located(place, offset)}
            outcome = heard.outcome.model_dump(exclude_none=True)
            show(machine | outcome, printable(_in_words(outcome)), as_json=as_json)


def _in_words(outcome: Mapping[str, Any]) -> str:
    words = f"{outcome['ended_at']}  {outcome['order_id']}  {outcome['state'].lower()}"
    reason = f": {why(Reason(outcome['reason']))}" if outcome.get("reason") in list(Reason) else ""
    return f"{words}{reason}  {outcome['amount']} {outcome['currency']}"


def _outcomes(
    settings: Settings, since: int | None, *, follow: bool
) -> Iterator[tuple[Place, int, HeardOutcome]]:
    """All that the topic has, by time; then, if they are followed, those that come."""
    admin, reader = Admin(settings), OrderOutcomeReader(Signatures.of(settings))
    places = [(topics.ORDER_OUTCOMES, each) for each in range(settings.partitions)]
    begin = dict(offsets.beginnings(admin, places))
    if since is not None:
        ends = offsets.ends(admin, places)
        begin = {**ends, **offsets.after(admin, places, since - 1)}
    while True:
        ends = offsets.ends(admin, places)
        parts = [_part(settings, reader, place, begin[place], ends[place]) for place in places]
        for _, place, offset, heard in heapq.merge(*parts, key=itemgetter(0)):
            yield place, offset, heard
        begin = dict(ends)
        if not follow:
            return
        time.sleep(PAUSE)


def _part(
    settings: Settings, reader: OrderOutcomeReader, place: Place, begin: int, end: int
) -> Iterator[tuple[int, Place, int, HeardOutcome]]:
    for message in chain.from_iterable(chunks(settings.kafka, *place, begin, end)):
        heard = reader.read(message)
        if heard is not None:
            yield message.timestamp()[1], place, int(message.offset() or 0), heard


def _mend(settings: Settings, *, dry_run: bool, as_json: bool) -> None:
    # Imported here, because it loads the agents and Faust with them.
    from saga_app.rebuild.outcomes import differences, record_of

    told = removed = 0
    sender = Sender(settings)
    if not dry_run:
        log_action(settings, "outcomes mend", broker=settings.broker)
    with tempfile.TemporaryDirectory(prefix="saga-outcomes-") as folder:
        found = differences(settings, Path(folder))
        while part := list(islice(found, _AT_A_TIME)):
            told += sum(each.row is not None for each in part)
            removed += sum(each.row is None for each in part)
            if not dry_run:
                sender.post(record_of(settings, each) for each in part)
    did = "would be" if dry_run else "were"
    words = f"outcomes: {told:,} {did} written anew, and {removed:,} removed"
    show({"written": told, "removed": removed, "dry_run": dry_run}, words, as_json=as_json)
