"""Results on stdout, as lines for people or JSON for machines; errors in one line on stderr."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from functools import wraps
from typing import Any, Final, NoReturn, ParamSpec, TypeVar

import click

from saga_app.commands.exit_codes import CommandExit
from saga_app.text import printable

FAILED: Final = CommandExit.FAILED
WRONG_INPUT: Final = CommandExit.WRONG_INPUT
CANCELLED: Final = CommandExit.CANCELLED
NOT_ENDED: Final = CommandExit.NOT_ENDED
INTERRUPTED: Final = CommandExit.INTERRUPTED

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def _json_of_faust(context: click.Context, parameter: click.Parameter, value: bool) -> bool:
    """True also if Faust has the option, before the command's name: `faust -A saga_app --json settings`."""
    return value or bool(getattr(context.find_root().obj, "json", False))


class Output(StrEnum):
    """The forms of an output; only lists have all of them."""

    TEXT = "text"
    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    CSV = "csv"
    NAME = "name"


_LISTS: Final = (Output.TABLE, Output.WIDE, Output.JSON, Output.CSV, Output.NAME)


def as_json(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `-o text|json` and `--json` to a command, which gets them as `as_json`."""

    @wraps(command)
    def run(*args: Any, output: Output, as_json: bool, **options: Any) -> Any:
        return command(*args, as_json=as_json or output == Output.JSON, **options)

    return _with_output(run, (Output.TEXT, Output.JSON), "For people, or one JSON object per line.")


def as_list(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the forms of a list to a command, which gets the one that is asked for as `output`."""

    @wraps(command)
    def run(*args: Any, output: str, as_json: bool, **options: Any) -> Any:
        return command(*args, output=Output.JSON if as_json else Output(output), **options)

    what = "A table, with more columns, one JSON object per line, CSV with a head, or names only."
    return _with_output(run, _LISTS, what)


def _with_output(command: Callable[..., Any], forms: Sequence[Output], what: str) -> Callable[..., Any]:
    short = click.option(
        "--json", "as_json", is_flag=True, callback=_json_of_faust, help="The same as -o json."
    )
    values = [form.value for form in forms]
    long = click.option(
        "-o", "--output", type=click.Choice(values), default=values[0], show_default=True, help=what
    )
    return long(short(command))


class CommandFailed(Exception):
    """A command did not work; the message says what, where and what to do."""


def show(machine: dict[str, Any], people: str, *, as_json: bool) -> None:
    """Prints one result."""
    # JSON escapes every control character but this one.
    click.echo(json.dumps(machine, default=str).replace("\x7f", "\\u007f") if as_json else people)


def print_lines(lines: Iterable[str]) -> None:
    """Prints lines for people."""
    for line in lines:
        click.echo(line)


def print_error(message: str) -> None:
    """Prints an error in one line on stderr."""
    click.echo(f"saga: {printable(' '.join(message.split()))}", err=True)


def exit_with(message: str, code: int) -> NoReturn:
    """Prints the error in one line and ends the process with the exit code."""
    print_error(message)
    raise SystemExit(code)


def reader_has_gone() -> NoReturn:
    """Ends the process: who reads the output has read enough, as in `saga orders | head -1`, and that is no error."""
    # Python flushes once more at its end, and would tell of the same error.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)


def one_line_errors(command: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Turns every error that a user can meet into one line and an exit code."""

    @wraps(command)
    def run(*args: Arguments.args, **options: Arguments.kwargs) -> Result:
        try:
            return command(*args, **options)
        except CommandFailed as error:
            exit_with(str(error), FAILED)
        except BrokenPipeError:
            reader_has_gone()
        except Exception as error:
            # Imported here: the classes come with clients of Kafka, and `saga --help` must not wait for those.
            from saga_app.commands.render.failures import failure

            known = failure(error)
            if known is None:
                raise
            exit_with(*known)

    return run


def must_want_it(yes: bool, question: str) -> None:
    """Asks, unless the option --yes has answered. Raises `CommandFailed` if nobody can be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise CommandFailed(f"nothing was changed. {question} Then give --yes")
    click.confirm(question, abort=True, err=True)
