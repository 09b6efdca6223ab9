"""The reference of the commands, from their `--help`."""

from collections.abc import Iterator
from typing import Final

import click

from saga_app import commands

PAGE: Final = "docs/reference/commands.md"
_WIDTH: Final = 110


def page() -> str:
    """Every command with all of its options."""
    head = (
        "# Commands\n\n"
        "Made by `scripts/docs` from the commands. `faust -A saga_app COMMAND` is the same as `saga COMMAND`.\n"
    )
    return head + "".join(
        f"\n## {context.command_path}\n\n```text\n{context.command.get_help(context)}\n```\n"
        for context in _all(commands.main, "saga", None)
    )


def _all(command: click.Command, called: str, parent: click.Context | None) -> Iterator[click.Context]:
    context = click.Context(
        command,
        info_name=called,
        parent=parent,
        terminal_width=_WIDTH,
        help_option_names=["-h", "--help"],
    )
    yield context
    for name, child in sorted(_children(command, context).items()):
        yield from _all(child, name, context)


def _children(command: click.Command, context: click.Context) -> dict[str, click.Command]:
    if not isinstance(command, click.Group):
        return dict(getattr(command, "commands", {}))
    found = {name: command.get_command(context, name) for name in command.list_commands(context)}
    return {name: each for name, each in found.items() if each is not None}
