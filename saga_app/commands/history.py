"""`saga history`: everything that happened to one order, from Kafka."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from saga_app.audit.checkpoints.checkpoint import Refused
from saga_app.audit.checkpoints.folder import latest
from saga_app.commands.completion import order_ids
from saga_app.commands.needs_topics import require_topics
from saga_app.commands.render.output import CommandFailed, as_json, one_line_errors, show
from saga_app.commands.render.terminal import Screen
from saga_app.kafka.messages import located
from saga_app.redaction import without_methods
from saga_app.settings import Settings
from saga_app.times import written

if TYPE_CHECKING:
    from saga_app.audit.history.events import Event


@click.command()
@click.argument("order_id", metavar="ORDER", shell_complete=order_ids)
@click.option(
    "--checkpoint",
    "folder",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where an inbox was cut, go on from the audit's checkpoint in this folder.",
)
@click.option("--rows", is_flag=True, help="Show the row after each record too.")
@as_json
@one_line_errors
def history(order_id: str, folder: Path | None, rows: bool, as_json: bool) -> None:
    """Tell what happened to an order, record by record, and what its rows were afterwards.

    \b
    saga history 4711
    saga history 4711 --rows
    saga history 4711 --json | jq .row

    Each line: Kafka's time (UTC), topic:partition:offset, what happened. The history is folded again from the
    inboxes, so it is right even if the tables are wrong; `saga audit` compares the two. If an inbox was cut
    (SAGA_INBOX_RETENTION), the first lines say what is missing.
    """
    # Imported here, because it loads the agents and Faust with them.
    from saga_app.audit.history.describe import in_words, truncated_in_words
    from saga_app.audit.history.reader import read_history

    settings = Settings.read()
    require_topics(settings)
    try:
        events, before = read_history(settings, order_id, None if folder is None else latest(folder))
    except Refused as error:
        raise CommandFailed(str(error)) from error
    if not events and not any(each.row for each in before):
        cut = "; ".join(["", *(each.why for each in before)])
        raise CommandFailed(
            f"order {order_id} was never placed{cut}; `saga dead-letters` shows the records that could not be applied"
        )
    for each in before:
        show(each.as_json(), truncated_in_words(each), as_json=as_json)
    place, screen = max((len(where(event)) for event in events), default=0), Screen.of_output()
    if events and not as_json:
        click.echo(screen.paint(f"{'time (UTC)':<24}  {'place':<{place}}  what happened", dim=True))
    for event in events:
        sender = f" (sent by {event.actor})" if event.actor else ""
        told = screen.paint(in_words(event), fg=colour(event, screen))
        words = f"{written(event.time)}  {where(event):<{place}}  {told}{sender}"
        if rows and event.row is not None:
            words += f"\n{' ' * 26}{without_methods(event.row.encode()).decode()}"
        show({**event.as_json(), "words": in_words(event)}, words, as_json=as_json)


def colour(event: "Event", screen: Screen) -> str | None:
    """The colour of what the record has made: that of its row's state, and red for a dead letter."""
    from saga_app.audit.history.describe import state_of
    from saga_app.core.decider import Verdict

    outcome = event.outcome
    if outcome is not None and outcome.verdict is Verdict.DEAD:
        return "red"
    is_applied = outcome is not None and outcome.verdict is Verdict.APPLIED
    return screen.colour(state_of(event.row)) if is_applied and event.row is not None else None


def where(event: "Event") -> str:
    """The place of a record."""
    return located(event.place, event.message.offset)
