"""The command `saga` itself: it finds its commands, and every error is one line and an exit code."""

import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

from saga_app import __version__
from saga_app.commands.index import ENTRIES, GROUPS
from saga_app.commands.render.output import INTERRUPTED, exit_with, print_error, reader_has_gone

#: click 8.2 and later raise this for a group without a command; its message is the whole help.
_HELP = getattr(click.exceptions, "NoArgsIsHelpError", ())


class SagaGroup(click.Group):
    """A group that names the nearest command where there is none of that name."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command and its arguments; `UsageError` if there is no such command."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            nearest = get_close_matches(name, self.list_commands(ctx), n=3)
            hint = f"; did you mean {' or '.join(nearest)}?" if nearest else ""
            ctx.fail(f"there is no command {name!r}{hint}")
        return super().resolve_command(ctx, args)


class SagaProgram(SagaGroup):
    """The group of all commands: it imports the one that is called, and prints click's own errors in one line too."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the groups."""
        return list(ENTRIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now; None if there is none of this name."""
        entry = ENTRIES.get(cmd_name)
        if entry is None:
            return None
        module = import_module(f"saga_app.commands.{entry.module}")
        command: click.Command = getattr(module, entry.attribute)
        return command

    def all_commands(self) -> dict[str, click.Command]:
        """Every command by its name, all imported."""
        context = click.Context(self)
        return {name: each for name in ENTRIES if (each := self.get_command(context, name)) is not None}

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of the help: by group, with whole sentences."""
        widest = max(map(len, ENTRIES))
        for name, entries in GROUPS.items():
            with formatter.section(name):
                formatter.write_dl([(entry.name.ljust(widest), entry.help) for entry in entries])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands whose name begins so, and the options."""
        names = [
            CompletionItem(each.name, help=each.help)
            for each in ENTRIES.values()
            if each.name.startswith(incomplete)
        ]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Runs the command and ends the process with its exit code, unless `standalone_mode` is false."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        try:
            code = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        except click.ClickException as error:
            if isinstance(error, _HELP):
                error.show()
                raise SystemExit(error.exit_code) from None
            context = error.ctx if isinstance(error, click.UsageError) else None
            hint = f" (see `{context.command_path} --help`)" if context else ""
            exit_with(error.format_message().rstrip(".") + hint, error.exit_code)
        except click.Abort:
            exit_with("stopped", INTERRUPTED)
        except SystemExit as ended:
            # So click ends where the help cannot be written.
            if isinstance(ended.__context__, BrokenPipeError):
                reader_has_gone()
            raise
        sys.exit(code if isinstance(code, int) else 0)


@click.group(
    cls=SagaProgram, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, prog_name="saga")
def main() -> None:
    """A checkout saga on Apache Kafka: place orders, cancel them, bring money and stock, and look after it.

    \b
    saga receive MUG:100                             stock into the warehouse
    saga place --order-id 1 --line MUG:2:12.50       an order
    saga order 1                                     where is it, and why?
    saga watch                                       all orders, live
    saga doctor                                      does everything work?

    SAGA_... variables set the broker and everything else: see `saga settings`. Exit codes: 0 done; 1 it did not
    work, for example no broker answered; 2 the input was refused; 3 the order that was waited for ended cancelled, or 4
    did not end in time.
    """
    if not any(name.startswith("SAGA_") for name in os.environ):
        return
    # Imported here, because `--help` does without.
    from saga_app.unknown_settings import unknown_settings

    for words in unknown_settings(os.environ):
        print_error(words)
