"""Errors of the order database in one line.

The order database needs packages that workers do without, so commands import it when they are called.
"""

from collections.abc import Callable
from functools import wraps
from typing import Final, ParamSpec, TypeVar

from saga_app.commands.render.output import CommandFailed

_PACKAGES: Final = ("sqlalchemy", "alembic", "aiosqlite", "asyncpg", "greenlet", "rich")


class NoOrderDatabase(CommandFailed):
    """There is no order database; not everybody wants one."""


Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def needs_database(command: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Turns the errors of the order database into `CommandFailed`, a missing package into `NoOrderDatabase`."""

    @wraps(command)
    def run(*args: Arguments.args, **options: Arguments.kwargs) -> Result:
        try:
            return _call(command, *args, **options)
        except ModuleNotFoundError as error:
            raise NoOrderDatabase(_missing(error, "the order database")) from error

    return run


def needs_shop_database(command: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """The same for the database of a shop: `CommandFailed` says what is wrong."""

    @wraps(command)
    def run(*args: Arguments.args, **options: Arguments.kwargs) -> Result:
        try:
            from saga_app.orderdb.database import DatabaseWrong
        except ModuleNotFoundError as error:
            raise CommandFailed(_missing(error, "the outbox relay")) from error
        try:
            return command(*args, **options)
        except DatabaseWrong as error:
            raise CommandFailed(str(error)) from error

    return run


def _missing(error: ModuleNotFoundError, what: str) -> str:
    """The advice about a missing package of the extra `orders`; the error itself, if it is another one."""
    package = (error.name or "").partition(".")[0]
    if package not in _PACKAGES:
        raise error
    return f"{what} needs the package {package}; in the folder of this project: pip install '.[orders]'"


def _call(command: Callable[Arguments, Result], *args: Arguments.args, **options: Arguments.kwargs) -> Result:
    from saga_app.orderdb.copy.source_topics import TopicsMissing
    from saga_app.orderdb.database import DatabaseEmpty, DatabaseWrong, in_words, is_down

    try:
        return command(*args, **options)
    except DatabaseEmpty as error:
        raise NoOrderDatabase(str(error)) from error
    except (DatabaseWrong, TopicsMissing) as error:
        raise CommandFailed(str(error)) from error
    except BrokenPipeError:
        # The reader of our output has gone; `is_down` would take this OSError for one of the database.
        raise
    except Exception as error:
        if not is_down(error):
            raise
        raise CommandFailed(
            f"the order database does not answer: {in_words(error)}; is SAGA_DB_URL right?"
        ) from error
