"""Results on stdout, as lines for people or JSON for machines; errors in one line on stderr."""

import json
import sys
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, Final, NoReturn, ParamSpec, TypeVar

import click
from confluent_kafka import KafkaException

from saga_app.commands.exit_codes import CommandExit
from saga_app.core.errors import Rejected
from saga_app.kafka.broker_errors import in_words
from saga_app.kafka.sender import DeliveryUnknown
from saga_app.kafka.topic_admin import BrokerUnreachable, TopicsWrong
from saga_app.settings import SettingsError
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


as_json = click.option(
    "--json", "as_json", is_flag=True, callback=_json_of_faust, help="Print one JSON object per line."
)


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


def one_line_errors(command: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Turns every error that a user can meet into one line and an exit code."""

    @wraps(command)
    def run(*args: Arguments.args, **options: Arguments.kwargs) -> Result:
        try:
            return command(*args, **options)
        except Rejected as error:
            exit_with(f"{error.fault}: {error.detail}", WRONG_INPUT)
        except SettingsError as error:
            exit_with(str(error), WRONG_INPUT)
        except (CommandFailed, DeliveryUnknown, BrokerUnreachable, TopicsWrong) as error:
            exit_with(str(error), FAILED)
        except KafkaException as error:
            exit_with(f"Kafka: {in_words(error)}; `saga doctor` looks at everything", FAILED)
        except TimeoutError as error:
            exit_with(f"{str(error) or 'no answer'}; `saga doctor` looks at everything", FAILED)

    return run


def must_want_it(yes: bool, question: str) -> None:
    """Asks, unless the option --yes has answered. Raises `CommandFailed` if nobody can be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise CommandFailed(f"nothing was changed. {question} Then give --yes")
    click.confirm(question, abort=True, err=True)
