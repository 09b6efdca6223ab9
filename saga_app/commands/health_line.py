"""The health strip for lists: one line on stderr if not all is well."""

from collections.abc import Callable
from functools import wraps
from typing import Final, ParamSpec, TypeVar

import click

from saga_app.commands.render.output import FAILED
from saga_app.commands.render.terminal import Screen
from saga_app.health.read import HealthWatch, load_database_packages
from saga_app.health.strip import Level, Strip, strip
from saga_app.settings import Settings, SettingsError
from saga_app.times import now

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


def health_watch() -> HealthWatch:
    """The watch of the command that runs, which is one `with_health`."""
    watch: HealthWatch = click.get_current_context().meta[_WATCH]
    return watch


def print_trouble(found: Strip) -> None:
    """Prints the strip on stderr, unless all is well: in one line, or on a terminal in lines that fit."""
    if found.level is not Level.WELL:
        for line in Screen.of_output().wrapped(f"saga: not all is well: {found.in_words()}", 2):
            click.echo(line, err=True)
