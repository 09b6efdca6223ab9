"""`saga topics`: what is on the broker, compared with what must be there."""

import click

import tables
from saga_app import topics as names
from saga_app.commands.output import FAILED, as_json, show, told
from saga_app.durable import topic_admin
from saga_app.settings import Settings


@click.command()
@click.option("--create", is_flag=True, help="Create what is missing.")
@click.option("--check", is_flag=True, help="Exit code 1 if something is missing or different.")
@as_json
@told
def topics(create: bool, check: bool, as_json: bool) -> None:
    """List the topics, and what is missing or different.

    \b
    saga topics
    saga topics --create
    saga topics --check --json
    """
    settings = Settings.read()
    wanted = names.wanted(settings.app_id, tuple(table.name for table in tables.ALL), settings.partitions)
    if create:
        topic_admin.ensure(settings, wanted)
    faults = topic_admin.compare(settings, wanted)
    for topic in wanted:
        found = faults.get(topic.name, [])
        machine = {"topic": topic.name, "partitions": topic.partitions, "faults": found}
        show(
            machine,
            f"{topic.name:<32} {topic.partitions:>3} partitions  {'; '.join(found) or 'ok'}",
            as_json=as_json,
        )
    if check and faults:
        raise SystemExit(FAILED)
