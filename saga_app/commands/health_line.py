"""One line on stderr if not all is well: the health strip for lists, a word about missing workers for senders."""

from collections.abc import Callable
from functools import wraps
from typing import Final, ParamSpec, TypeVar

import click
from confluent_kafka import KafkaException

from saga_app.commands.render.output import FAILED, print_error
from saga_app.commands.render.terminal import Screen
from saga_app.health.read import HealthWatch, load_database_packages
from saga_app.health.strip import Level, Strip, strip
from saga_app.kafka.consumer_group import ConsumerGroup
from saga_app.settings import Settings, SettingsError
from saga_app.times import now

#: Seconds to wait for the group's members: the record is sent already.
LONGEST_QUESTION: Final = 3.0
#: Where click's context keeps the watch of a command.
_WATCH: Final = f"{__name__}.watch"

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def with_health(command: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Reads the health beside the command, and prints it on stderr behind everything else if not all is well.

    It is the outer one of `one_line_errors`: a command that fails may have failed for that reason.
    """

    @wraps(command)
    def run(*args: Arguments.args, **options: Arguments.kwargs) -> Result:
        try:
            watch = HealthWatch(Settings.read())
        except SettingsError:
            # The command says it.
            return command(*args, **options)
        click.get_current_context().meta[_WATCH] = watch
        load_database_packages()
        watch.latest()
        try:
            result = command(*args, **options)
            print_trouble(strip(watch.wait(), now()))
        except SystemExit as ended:
            readings = watch.wait() if ended.code == FAILED else None
            if readings is not None and readings.kafka is not None:
                print_trouble(strip(readings, now()))
            # Else Kafka refuses or does not answer, and the command has said so; or the trouble is the caller's.
            raise
        finally:
            watch.close()
        return result

    return run


def warn_without_workers(settings: Settings) -> None:
    """For a command that has sent records: says if nobody is there to take them."""
    try:
        members = ConsumerGroup(settings, seconds=LONGEST_QUESTION).members()
    except KafkaException:
        return
    if not members.number:
        print_error(
            f"no worker of the group {settings.app_id} runs: it waits until one is started "
            "(faust -A saga_app worker -l info)"
        )


def health_watch() -> HealthWatch:
    """The watch of the command that runs, which is one `with_health`."""
    watch: HealthWatch = click.get_current_context().meta[_WATCH]
    return watch


def print_trouble(found: Strip) -> None:
    """Prints the strip on stderr, unless all is well: in one line, or on a terminal in lines that fit."""
    if found.level is not Level.WELL:
        for line in Screen.of_output().wrapped(f"saga: not all is well: {found.in_words()}", 2):
            click.echo(line, err=True)
