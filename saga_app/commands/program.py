"""The command `saga` itself: what all its commands share is that every error is one line and an exit code."""

import sys
from collections.abc import Sequence
from typing import Any

import click

from saga_app import __version__
from saga_app.commands.render.output import INTERRUPTED, end

#: What click (8.2 and later) raises for a group without a command; its message is the whole help.
_HELP = getattr(click.exceptions, "NoArgsIsHelpError", ())


class Program(click.Group):
    """A group that tells click's own errors in one line too."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Runs the command; ends the process with its exit code, unless asked to return."""
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
            end(error.format_message().rstrip(".") + hint, error.exit_code)
        except click.Abort:
            end("stopped", INTERRUPTED)
        sys.exit(code if isinstance(code, int) else 0)


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="saga")
def main() -> None:
    """A checkout saga on Apache Kafka: place orders, cancel them, bring money and stock, and look after it.

    \b
    saga receive MUG:100                             stock into the warehouse
    saga place --order-id 1 --line MUG:2:12.50       an order
    saga order 1                                     where is it, and why?
    saga watch                                       all orders, live
    saga doctor                                      is everything well?

    Broker and all else are set by SAGA_... variables: see `saga settings`. Exit codes: 0 done; 1 it did not
    work, for example no broker answered; 2 input was refused; 3 the order that was followed was cancelled.
    """
