"""`saga history`: what happened to one order?"""

from typing import TYPE_CHECKING

import click

from saga_app.commands.output import Failed, as_json, show, told
from saga_app.commands.topics import require
from saga_app.letters.letter import written
from saga_app.settings import Settings

if TYPE_CHECKING:
    from saga_app.audit.history import Event


@click.command()
@click.argument("order_id", metavar="ORDER")
@click.option("--rows", is_flag=True, help="Show the row after each record too.")
@as_json
@told
def history(order_id: str, rows: bool, as_json: bool) -> None:
    """Tell what happened to an order, record by record, and what its rows were afterwards.

    \b
    saga history 4711
    saga history 4711 --rows
    saga history 4711 --json | jq .row

    Each line: Kafka's time (UTC), topic[partition]@offset, what happened. Everything is folded again from the
    inboxes, so it is what must have happened, whatever the tables say; `saga audit` says whether they agree.
    """
    # Only here: it loads the agents, and Faust with them.
    from saga_app.audit.history import history as read
    from saga_app.audit.words import in_words

    settings = Settings.read()
    require(settings)
    events = read(settings, order_id)
    if not events:
        raise Failed(f"order {order_id} was never placed; `saga dead-letters` shows what could not be taken")
    place = max(len(where(event)) for event in events)
    for event in events:
        words = f"{written(event.time)}  {where(event):<{place}}  {in_words(event)}"
        if rows and event.row is not None:
            words += f"\n{' ' * 26}{event.row.encode().decode()}"
        show({**event.as_json(), "words": in_words(event)}, words, as_json=as_json)


def where(event: "Event") -> str:
    """Topic, partition and offset of a record."""
    return f"{event.place[0]}[{event.place[1]}]@{event.told.message.offset}"
