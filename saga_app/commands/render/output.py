"""What commands print: one line for people or one JSON object for machines; errors in one line on stderr."""

import json
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, Final, NoReturn, ParamSpec, TypeVar

import click
from confluent_kafka import KafkaException

from saga_app.core.errors import Rejected
from saga_app.kafka.broker_errors import in_words
from saga_app.kafka.sender import Unsure
from saga_app.kafka.topic_admin import BrokerUnreachable, TopicsWrong
from saga_app.settings import SettingsError
from saga_app.text import printable

#: Exit codes: something did not work, the input was wrong, an order that was followed ended cancelled, Ctrl-C.
FAILED: Final = 1
WRONG_INPUT: Final = 2
CANCELLED: Final = 3
INTERRUPTED: Final = 130

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def _or_faust_says_so(context: click.Context, parameter: click.Parameter, value: bool) -> bool:
    """Also where Faust was told, before the command's name: `faust -A saga_app --json settings`."""
    return value or bool(getattr(context.find_root().obj, "json", False))


as_json = click.option(
    "--json", "as_json", is_flag=True, callback=_or_faust_says_so, help="Print one JSON object per line."
)


class Failed(Exception):
    """A command that did not work; the message says what, where and what to do."""


def show(machine: dict[str, Any], people: str, *, as_json: bool) -> None:
    """One result."""
    # JSON escapes every control character but this one.
    click.echo(json.dumps(machine, default=str).replace("\x7f", "\\u007f") if as_json else people)


def say(lines: Iterable[str]) -> None:
    """Lines for people."""
    for line in lines:
        click.echo(line)


def complain(message: str) -> None:
    """An error, in one line."""
    click.echo(f"saga: {printable(' '.join(message.split()))}", err=True)


def end(message: str, code: int) -> NoReturn:
    """The error in one line, and the exit code."""
    complain(message)
    raise SystemExit(code)


def told(command: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Every error that a user can meet becomes one line and an exit code."""

    @wraps(command)
    def run(*args: Arguments.args, **options: Arguments.kwargs) -> Result:
        try:
            return command(*args, **options)
        except Rejected as error:
            end(f"{error.fault}: {error.detail}", WRONG_INPUT)
        except SettingsError as error:
            end(str(error), WRONG_INPUT)
        except (Failed, Unsure, BrokerUnreachable, TopicsWrong) as error:
            end(str(error), FAILED)
        except KafkaException as error:
            end(f"Kafka: {in_words(error)}; `saga doctor` looks at everything", FAILED)

    return run
