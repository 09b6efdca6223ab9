"""A folder of checkpoints: a new one gets its name when it is complete, and then the old one is removed."""

import fcntl
import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

from saga_app.audit.checkpoints.checkpoint import MANIFEST, Checkpoint, read
from saga_app.private_files import private_folder

_NAME: Final = "checkpoint-"
_UNFINISHED: Final = ".unfinished-"


class FolderLocked(Exception):
    """Another audit holds the lock of this folder."""


def latest(folder: Path) -> Checkpoint | None:
    """The newest checkpoint in the folder, or None. Raises `Refused` if it cannot be used."""
    found = sorted(folder.glob(f"{_NAME}*"))
    return read(found[-1]) if found else None


class NewCheckpoint:
    """The next checkpoint of a folder while it is written. It is removed at the end unless it was published."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        private_folder(self._folder)
        lock = self._stack.enter_context((self._folder / ".lock").open("w"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._stack.close()
            raise FolderLocked(f"another audit works with {self._folder}; wait until it has ended") from None
        for left_over in self._folder.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(left_over)
        self.path = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self._folder))
        return self

    def __exit__(self, *error: object) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        self._stack.close()

    @property
    def is_whole(self) -> bool:
        """True if the audit held and has written the manifest."""
        return (self.path / MANIFEST).exists()

    def publish(self) -> Path:
        """Flushes all files, then renames the folder. A crash at any moment leaves the old or the new checkpoint."""
        for path in (*self.path.iterdir(), self.path):
            _flush(path)
        old = sorted(self._folder.glob(f"{_NAME}*"))
        number = int(old[-1].name.removeprefix(_NAME)) + 1 if old else 1
        name = self.path.rename(self._folder / f"{_NAME}{number:06}")
        _flush(self._folder)
        for each in old:
            shutil.rmtree(each)
        return name


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
