"""Ways in which the files of a database come to harm. Each takes the folder of a database that nobody has open."""

import shutil
from collections.abc import Callable
from pathlib import Path

Harm = Callable[[Path], None]


def _of(pattern: str, harm: Callable[[Path], None]) -> Harm:
    """The same harm to the newest file of this name, where there is one."""

    def do(folder: Path) -> None:
        files = sorted(folder.glob(pattern))
        if files:
            harm(files[-1])

    return do


def cut(file: Path) -> None:
    """The second half is missing."""
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])


def flip(file: Path) -> None:
    """Bits in the middle are turned over."""
    data = bytearray(file.read_bytes())
    if data:
        data[len(data) // 2] ^= 0x55
    file.write_bytes(data)


def empty(file: Path) -> None:
    file.write_bytes(b"")


def removed(file: Path) -> None:
    file.unlink()


def folder(file: Path) -> None:
    """A folder stands where the file was."""
    file.unlink()
    file.mkdir()


def no_folder(path: Path) -> None:
    """A file stands where the database was."""
    shutil.rmtree(path)
    path.write_bytes(b"not a database")


#: What harms rows: these files have them, or say which files do.
HARMS: dict[str, Harm] = {
    f"{pattern}-{harm.__name__}": _of(pattern, harm)
    for pattern in ("*.sst", "MANIFEST-*", "CURRENT")
    for harm in (cut, flip, empty, removed, folder)
} | {"no-folder": no_folder}
#: What a database can do without.
SCRATCHES: dict[str, Harm] = {
    f"{pattern}-{harm.__name__}": _of(pattern, harm)
    for pattern in ("*.log", "OPTIONS-*", "IDENTITY", "rocksdict-config.json")
    for harm in (cut, flip, empty, removed)
}
