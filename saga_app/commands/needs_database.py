"""The order database needs packages that workers do without: they are imported when they are needed."""

from collections.abc import Callable
from functools import wraps
from typing import Final, ParamSpec, TypeVar

from saga_app.commands.render.output import Failed

_PACKAGES: Final = ("sqlalchemy", "alembic", "aiosqlite", "asyncpg", "greenlet", "rich")


class NoOrders(Failed):
    """There is no order database; not everybody wants one."""


Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def with_sql(command: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """What can go wrong with the order database becomes `Failed`."""

    @wraps(command)
    def run(*args: Arguments.args, **options: Arguments.kwargs) -> Result:
        try:
            return _asked(command, *args, **options)
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package not in _PACKAGES:
                raise
            raise NoOrders(
                f"the order database needs the package {package}; in the folder of this project: "
                "pip install '.[orders]'"
            ) from error

    return run


def _asked(
    command: Callable[Arguments, Result], *args: Arguments.args, **options: Arguments.kwargs
) -> Result:
    from saga_app.orderdb.copy.source_topics import TopicsMissing
    from saga_app.orderdb.database import DatabaseEmpty, DatabaseWrong, in_words, is_down

    try:
        return command(*args, **options)
    except DatabaseEmpty as error:
        raise NoOrders(str(error)) from error
    except (DatabaseWrong, TopicsMissing) as error:
        raise Failed(str(error)) from error
    except BrokenPipeError:
        # Nobody reads what we write any more: that is no trouble with the database.
        raise
    except Exception as error:
        if not is_down(error):
            raise
        raise Failed(
            f"the order database does not answer: {in_words(error)}; is SAGA_DB_URL right?"
        ) from error
