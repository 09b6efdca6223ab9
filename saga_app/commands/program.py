"""The command `saga` itself: every error is one line and an exit code."""

import sys
from collections.abc import Sequence
from typing import Any

import click

from saga_app import __version__
from saga_app.commands.render.output import INTERRUPTED, exit_with

#: click 8.2 and later raise this for a group without a command; its message is the whole help.
_HELP = getattr(click.exceptions, "NoArgsIsHelpError", ())


class SagaProgram(click.Group):
    """A group that prints click's own errors in one line too."""

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
        sys.exit(code if isinstance(code, int) else 0)


@click.group(cls=SagaProgram, context_settings={"help_option_names": ["-h", "--help"]})
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
    work, for example no broker answered; 2 the input was refused; 3 the order that was followed was cancelled, or 4
    did not end in time.
    """
