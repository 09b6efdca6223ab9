"""Faults of stores end the worker. A file beside a database tells the next start to rebuild it from its changelog."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

from saga_app.core.errors import ForeignRow, RowsMissing
from saga_app.engine.exits import Exit, Fatal
from saga_app.engine.stores.errors import DiskFailed, StoreDamaged, named, remove

logger = logging.getLogger(__name__)

#: A file of this suffix beside a database says that it must be rebuilt.
REBUILD: Final = ".rebuild"


@contextmanager
def fatal_faults(folder: Path, paths: Callable[[], Iterable[Path]]) -> Iterator[None]:
    """Turns each fault of a store into `Fatal`; `paths` are those of all open databases in the folder."""
    try:
        yield
    except ForeignRow as error:
        # A disk may have the right row, but cannot know that it is right.
        advice = (
            "nothing was decided on it. Stop the workers and run `saga rebuild --from-inboxes` "
            "(docs/how-to/recover.md); `saga audit` names all such rows"
        )
        raise Fatal(Exit.FOREIGN_ROW, f"{error}; {advice}") from error
    except RowsMissing as error:
        _condemn(folder, paths(), error)
    except StoreDamaged as error:
        _rebuild(error)
    except DiskFailed as error:
        # A rebuild would not mend it.
        raise Fatal(Exit.DISK_FAILED, str(error)) from error


def remove_condemned(path: Path) -> None:
    """Removes a database that must be rebuilt, before it is opened. Raises `DiskFailed`."""
    mark = path.with_suffix(REBUILD)
    if mark.exists():
        logger.warning("rebuilding %s from its changelog: it was damaged, or rows were missing", path.name)
        try:
            remove(path)
            mark.unlink()
        except OSError as error:
            raise named(path, error) from error


def _condemn(folder: Path, paths: Iterable[Path], error: RowsMissing) -> NoReturn:
    """All are thrown away and come back from the changelogs. The same again, after that, means a bug."""
    mark = folder / "condemned"
    try:
        if mark.exists() and mark.read_text() == str(error):
            advice = (
                "although the store was rebuilt, so its changelog lacks them too; stop the workers and run "
                "`saga rebuild --from-inboxes` (docs/how-to/recover.md)"
            )
            raise Fatal(Exit.ROWS_MISSING_AGAIN, f"{error}, {advice}") from error
        for path in paths:
            path.with_suffix(REBUILD).touch()
        mark.write_text(str(error))
    except OSError as unable:
        advice = f"empty {folder} before the next start ({unable})"
        raise Fatal(Exit.ROWS_MISSING, f"{error}; {advice}") from error
    advice = "the store is rebuilt from the changelogs at the next start"
    raise Fatal(Exit.ROWS_MISSING, f"{error}; {advice}") from error


def _rebuild(error: StoreDamaged) -> NoReturn:
    """Only this database is thrown away; its changelog has every row."""
    try:
        error.path.with_suffix(REBUILD).touch()
    except OSError as unable:
        advice = f"remove {error.path} before the next start ({unable})"
        raise Fatal(Exit.STORE_DAMAGED, f"{error}; {advice}") from error
    advice = "it is rebuilt from its changelog at the next start"
    raise Fatal(Exit.STORE_DAMAGED, f"{error}; {advice}") from error
