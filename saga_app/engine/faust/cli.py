"""Faust's own commands, where they do not fit this application: each works, or says in one line what to do instead."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import click
from click.core import ParameterSource
from faust.cli.faust import cli  # Faust's own commands are registered there.

from saga_app.core.records import Record

_RECORDS: Final = {model.__name__: model for model in Record.__args__}


def fit_commands(inboxes: Mapping[str, str], more: Mapping[str, click.Command]) -> None:
    """Fits Faust's commands to this application, and adds `more`; `inboxes` are the topics of the agents, by agent."""
    entity = next(each for each in cli.commands["send"].params if each.name == "entity")

    def topic_of(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
        """`@checkout`, as `faust agents` prints it, is the inbox of that agent: Faust takes it for a Python name."""
        if not isinstance(value, str) or not value.startswith("@"):
            return value
        if value[1:] not in inboxes:
            raise click.BadParameter(f"there is no agent {value}; `faust -A saga_app agents` lists them")
        return inboxes[value[1:]]

    entity.callback = topic_of
    cli.callback = _without_datadir(cli.callback)
    for name, command in {"models": models, "model": model, **more}.items():
        cli.add_command(command, name)


def _without_datadir(callback: Callable[..., Any]) -> Callable[..., Any]:
    """Refuses `--datadir`, which would change nothing: a worker's folder is a setting, which commands read too."""
    # The application may be made again: the callback stays one.
    faust: Any = getattr(callback, "of_faust", callback)

    def checked(*arguments: Any, **options: Any) -> Any:
        source = click.get_current_context().get_parameter_source("datadir")
        if source is ParameterSource.COMMANDLINE:
            raise click.UsageError("--datadir has no effect here: set SAGA_DATA_DIR")
        return faust(*arguments, **options)

    checked.of_faust = faust  # type: ignore[attr-defined]
    return checked


@click.command()
def models() -> None:
    """List the records; `faust -A saga_app model NAME` has the JSON Schema of one."""
    for name, record in _RECORDS.items():
        click.echo(f"{name:<30}{(record.__doc__ or '').splitlines()[0]}")


@click.command()
@click.argument("name")
def model(name: str) -> None:
    """Show the JSON Schema of a record."""
    if name not in _RECORDS:
        raise click.BadParameter(f"there is no record {name!r}; `faust -A saga_app models` lists them")
    click.echo(json.dumps(_RECORDS[name].model_json_schema(), indent=2))
