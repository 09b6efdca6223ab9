"""Faust's own commands, where they do not fit this application: each works, or says in one line what to do instead."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import click
from click.core import ParameterSource
from click.shell_completion import get_completion_class
from faust.cli.faust import cli  # Faust's own commands are registered there.

from saga_app.engine.faust.records_cli import checks_values, model, models

#: Options that would change only a part of what depends on them, by the setting that changes all of it.
_SETTINGS: Final = {
    "datadir": "SAGA_DATA_DIR",
    "web_bind": "SAGA_WEB_BIND",
    "web_host": "SAGA_WEB_URL",
}


def fit_commands(inboxes: Mapping[str, str], more: Mapping[str, click.Command]) -> None:
    """Fits Faust's commands to this application, and adds `more`; `inboxes` are the topics of the agents, by agent."""
    send = cli.commands["send"]
    entity = next(each for each in send.params if each.name == "entity")

    def topic_of(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
        """`@checkout`, as `faust agents` prints it, is the inbox of that agent: Faust takes it for a Python name."""
        if not isinstance(value, str) or not value.startswith("@"):
            return value
        if value[1:] not in inboxes:
            raise click.BadParameter(f"there is no agent {value}; `faust -A saga_app agents` lists them")
        return inboxes[value[1:]]

    entity.callback = topic_of
    send.callback = checks_values(send.callback)
    cli.callback = _without_settings(cli.callback)
    worker = cli.commands["worker"]
    worker.callback = _without_settings(worker.callback)
    own = {"models": models, "model": model, "completion": completion, "livecheck": livecheck}
    for name, command in {**own, **more}.items():
        cli.add_command(command, name)


def _without_settings(callback: Callable[..., Any]) -> Callable[..., Any]:
    """Refuses options that are settings here: other parts of a worker, and other commands, read them too."""
    # The application may be made again: the callback stays one.
    faust: Any = getattr(callback, "of_faust", callback)

    def checked(*arguments: Any, **options: Any) -> Any:
        context = click.get_current_context()
        for name, setting in _SETTINGS.items():
            if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
                option = f"--{name.replace('_', '-')}"
                raise click.UsageError(f"{option} has no effect here: set {setting}")
        return faust(*arguments, **options)

    checked.of_faust = faust  # type: ignore[attr-defined]
    return checked


@click.command()
def completion() -> None:
    """Print a script with which your shell ($SHELL: bash, zsh or fish) completes commands of `faust -A saga_app`."""
    shell = Path(os.environ.get("SHELL", "bash")).name
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"completion is for bash, zsh and fish, and $SHELL is {shell}")
    click.echo(found(cli, {}, "faust", "_FAUST_COMPLETE").source())


@click.command()
def livecheck() -> None:
    """Tell what checks this application: it has no LiveCheck."""
    raise click.UsageError(
        "there is no LiveCheck here: `saga doctor` checks that everything runs, `saga audit` that nothing is lost"
    )
