"""The health strip for lists: one line on stderr if not all is well."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from saga_app.commands.render.output import print_error
from saga_app.health.read import HealthWatch, load_database_packages
from saga_app.health.strip import Level, Strip, strip
from saga_app.settings import Settings
from saga_app.times import now

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def with_health(command: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Reads the health beside the command, and prints it on stderr behind its output if not all is well."""

    @wraps(command)
    def run(*args: Arguments.args, **options: Arguments.kwargs) -> Result:
        load_database_packages()
        watch = HealthWatch(Settings.read())
        watch.latest()
        try:
            return command(*args, **options)
        finally:
            print_trouble(strip(watch.wait(), now()))

    return run


def print_trouble(found: Strip) -> None:
    """Prints the strip in one line on stderr, unless all is well."""
    if found.level is not Level.WELL:
        print_error(f"not all is well: {found.in_words()}")
