"""`saga topics`: compares the topics on the broker with the settings, creates and alters them."""

from collections.abc import Sequence
from typing import Any, Final

import click

import tables
from saga_app.commands.render.listing import Column, Listing, show_note, show_rows
from saga_app.commands.render.output import CommandFailed, Output, as_list, one_line_errors, show
from saga_app.kafka import added_partitions, topic_admin
from saga_app.kafka.reachable import require_broker
from saga_app.kafka.sender import DeliveryUnknown
from saga_app.kafka.topic_faults import TopicFault, remedy
from saga_app.operator_log import log_action
from saga_app.settings import Settings
from saga_app.topics import Topic


def state(faults: Sequence[TopicFault]) -> str:
    """The state of a topic in one word, for machines."""
    if not faults:
        return "ok"
    return "missing" if faults[0].is_missing else "different"


def _machine(row: tuple[Topic, Sequence[TopicFault]]) -> dict[str, Any]:
    topic, faults = row
    return {
        "topic": topic.name,
        "partitions": topic.partitions,
        "state": state(faults),
        "faults": [fault.text for fault in faults],
    }


#: Each topic with its faults.
TOPICS: Final = Listing(
    (
        Column("topic", lambda row, screen: row[0].name),
        Column("partitions", lambda row, screen: f"{row[0].partitions}", is_right=True),
        Column(
            "state",
            lambda row, screen: screen.verdict(
                "; ".join(each.text for each in row[1]) or "ok", is_well=not row[1]
            ),
        ),
        Column(
            "settings",
            lambda row, screen: " ".join(f"{name}={value}" for name, value in sorted(row[0].config.items())),
            is_wide=True,
        ),
    ),
    _machine,
    lambda row: row[0].name,
    ("topic", "partitions", "state", "faults"),
    "no topics",
)


@click.command()
@click.option("--create", is_flag=True, help="Create the missing topics; existing ones are never changed.")
@click.option(
    "--alter",
    is_flag=True,
    help="Change the settings of existing topics too. A shorter SAGA_INBOX_RETENTION deletes records for ever: "
    "run `saga audit --checkpoint` before, and see docs/how-to/keep-topics-small.md.",
)
@click.option(
    "--move",
    is_flag=True,
    help="Send the records of partitions that were added to an inbox to where they belong, and delete them there.",
)
@click.option("--check", is_flag=True, help="Exit code 1 if something is missing or different.")
@as_list
@one_line_errors
def topics(create: bool, alter: bool, move: bool, check: bool, output: Output) -> None:
    """List the topics, and what is missing or different.

    \b
    saga topics
    saga topics --create
    saga topics --check --json
    SAGA_INBOX_RETENTION=30 saga topics --alter

    Every worker creates missing topics when it starts; use --create to do it before.
    """
    settings = Settings.read()
    wanted = tables.wanted_topics(settings)
    require_broker(settings)
    if done := [
        name for name, is_asked in (("create", create), ("alter", alter), ("move", move)) if is_asked
    ]:
        log_action(settings, "topics", options=done, broker=settings.broker)
    if create:
        topic_admin.ensure(settings, wanted)
    if alter:
        topic_admin.alter(settings, wanted)
    if move:
        _move(settings, output)
    faults = topic_admin.compare(settings, wanted)
    show_rows(TOPICS, [(topic, faults.get(topic.name, [])) for topic in wanted], output)
    if check and faults:
        raise CommandFailed(
            f"{len(faults)} of {len(wanted)} topics are not as they must be; {remedy(faults)}"
        )


def _move(settings: Settings, output: Output) -> None:
    try:
        for place, records in added_partitions.move(settings):
            if output == Output.JSON:
                show({"moved_from": f"{place[0]}:{place[1]}", "records": records}, "", as_json=True)
            show_note(f"{place[0]}[{place[1]}]: {records} records sent on", output)
    except (DeliveryUnknown, TimeoutError) as error:
        raise CommandFailed(f"{error}; run it again: a repeat does no harm") from error
