"""Errors of a worker's disk, by their remedy: a rebuild, a person, or the end of another worker.

RocksDB names its errors only in words. A database can always be rebuilt: every row is in a changelog.
"""

import shutil
import time
from pathlib import Path
from typing import Final

#: In RocksDB's words: the files are there, but not what they should be.
_DAMAGED: Final = ("Corruption",)
#: The same, where it stands between us and opening; while rows are written it means that files were taken away.
_DOES_NOT_OPEN: Final = (*_DAMAGED, "No such file", "Is a directory", "Not a directory", "File exists")
_LOCKED: Final = ("While lock file", "lock hold by")
#: What a person can do about it.
_ADVICE: Final = {
    "No space left": "make room, then start the worker again",
    "File too large": "raise the limit on file sizes, then start the worker again",
    "Read-only file system": "make it writable, then start the worker again",
    "Permission denied": "let this user write there, then start the worker again",
    "Operation not permitted": "let this user write there, then start the worker again",
    "Too many open files": "raise the limit on open files (ulimit -n), then start the worker again",
    "No such file": "somebody removed it; it is rebuilt when the worker is started again",
    "Input/output error": "look at the disk, or give the worker another SAGA_DATA_DIR",
}


class StoreDamaged(Exception):
    """A database whose files cannot be read as what they should be: it must be rebuilt."""

    def __init__(self, path: Path, error: Exception) -> None:
        super().__init__(f"{path.name} is damaged ({error})")
        self.path = path


class DiskFailed(Exception):
    """The disk is full, read-only, gone or in use: a rebuild would not mend it, a person or time may."""


def named(path: Path, error: Exception) -> Exception:
    """The error of this project for an error of the open database at this path."""
    words = str(error)
    if any(each in words for each in _DAMAGED):
        return StoreDamaged(path, error)
    if any(each in words for each in _LOCKED):
        advice = "does another worker use this SAGA_DATA_DIR?"
    else:
        advice = next((advice for what, advice in _ADVICE.items() if what in words), "look at the disk")
    return DiskFailed(f"{path}: {words}; nothing is lost: {advice}")


def does_not_open(error: Exception) -> bool:
    """True if the files are the reason: a new database in another folder would open."""
    return any(each in str(error) for each in _DOES_NOT_OPEN)


def set_aside(path: Path) -> Path:
    """Moves a damaged database away, for people to look at; only the last one of each is kept, as disks are finite."""
    for older in path.parent.glob(f"{path.name}.damaged-*"):
        remove(older)
    aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
    path.rename(aside)
    return aside


def remove(path: Path) -> None:
    """Removes a database wholly, or raises: one half removed must not be opened."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
