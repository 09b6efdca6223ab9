"""A folder of checkpoints: a new one gets its name when it is whole, and only then the old one goes."""

import fcntl
import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

from saga_app.audit.checkpoints.checkpoint import MANIFEST, Checkpoint, read

_NAME: Final = "checkpoint-"
_DRAFT: Final = ".draft-"


class FolderLocked(Exception):
    """Another audit works with this folder."""


def latest(folder: Path) -> Checkpoint | None:
    """The newest checkpoint in the folder, None where there is none; `Refused` if it cannot be used."""
    found = sorted(folder.glob(f"{_NAME}*"))
    return read(found[-1]) if found else None


class NewCheckpoint:
    """The next checkpoint of a folder, while it is written; gone at the end unless it was published."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = self._stack.enter_context((self._folder / ".lock").open("w"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._stack.close()
            raise FolderLocked(f"another audit works with {self._folder}; wait until it has ended") from None
        for left_over in self._folder.glob(f"{_DRAFT}*"):
            shutil.rmtree(left_over)
        self.path = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=self._folder))
        return self

    def __exit__(self, *error: object) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        self._stack.close()

    @property
    def is_whole(self) -> bool:
        """Whether an audit that held has finished it."""
        return (self.path / MANIFEST).exists()

    def publish(self) -> Path:
        """Gives it its name, once the disk has all of it; a crash at any moment leaves the old one or the new one."""
        for path in (*self.path.iterdir(), self.path):
            _to_disk(path)
        old = sorted(self._folder.glob(f"{_NAME}*"))
        number = int(old[-1].name.removeprefix(_NAME)) + 1 if old else 1
        name = self.path.rename(self._folder / f"{_NAME}{number:06}")
        _to_disk(self._folder)
        for each in old:
            shutil.rmtree(each)
        return name


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
