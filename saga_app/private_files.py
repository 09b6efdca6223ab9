"""Folders and files that only their owner may read: rows, orders and settings are in them."""

import os
from pathlib import Path


def private_folder(folder: Path) -> None:
    """Makes the folder, and those above it, if they are missing. One that is there keeps its mode: it may be shared."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)


def private_file(file: Path) -> None:
    """Makes an empty file if it is missing."""
    os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))


def write_private(file: Path, text: str) -> None:
    """Writes the file; nobody else can read it, also if somebody could before."""
    with os.fdopen(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="utf-8") as stream:
        os.fchmod(stream.fileno(), 0o600)
        stream.truncate()
        stream.write(text)


def is_open_to_others(path: Path) -> bool:
    """True if other users of this machine than its group may use the folder or file, and it is ours to close."""
    found = path.stat()
    return found.st_uid == os.geteuid() and bool(found.st_mode & 0o007)
