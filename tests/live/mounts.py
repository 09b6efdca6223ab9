"""Disks of a test's own: small ones, and ones that turn read-only. Only root may mount; else tests are skipped."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(path: Path, mebibytes: int) -> Iterator[None]:
    """A disk of this size at this path."""
    path.mkdir(parents=True)
    with _mounted(path, "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs"):
        yield


@contextmanager
def read_only(path: Path) -> Iterator[None]:
    """Whatever is at this path can be read, and no file can be made there, by root neither."""
    with _mounted(path, "--bind", str(path)):
        _mount("-o", "remount,bind,ro", str(path))
        yield


@contextmanager
def _mounted(path: Path, *how: str) -> Iterator[None]:
    failed = _mount(*how, str(path))
    if failed:
        pytest.skip(f"mounting needs root: {failed}")
    try:
        yield
    finally:
        # Lazily: a process that has not ended yet may hold files there.
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def _mount(*words: str) -> str:
    """Why it did not work; nothing if it did."""
    try:
        done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        return str(error)
    return done.stderr.strip()


def fill(path: Path) -> Path:
    """Uses up all the room that the disk at this path has; the file that must go to make room again."""
    ballast = path / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(65536))
        except OSError:
            return ballast
