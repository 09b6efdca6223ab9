"""Breaches that somebody has acknowledged: who, when and why. They stay in every later report.

They are lines of JSON in a file that only grows. A breach is known by its whole content, so one that changes in any way
counts again.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from saga_app.audit.findings import Breach, Findings
from saga_app.private_files import private_file

#: The file in a folder of checkpoints.
NAME: Final = "acknowledged.jsonl"


class NotAcknowledged(Exception):
    """Nothing was acknowledged; the message says what, where and what to do."""


class Acknowledgement(BaseModel):
    """One acknowledged breach: its id, the breach in words, and who accepts it, when (milliseconds) and why."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: str
    invariant: str
    breach: str
    by: str
    time: int
    why: str


class Acknowledgements:
    """The acknowledgements of one file, and new ones that are not yet written."""

    def __init__(self, path: Path | None = None, known: Iterable[Acknowledgement] = ()) -> None:
        self._path = path
        self._known = {each.id: each for each in known}
        self._new: list[Acknowledgement] = []

    @classmethod
    def read(cls, path: Path | None) -> Self:
        """Reads the file; it may be missing. Raises `NotAcknowledged` if a line is not as it was written."""
        if path is None or not path.exists():
            return cls(path)
        return cls(path, list(_lines(path)))

    @property
    def ids(self) -> frozenset[str]:
        """The ids of the acknowledged breaches."""
        return frozenset(self._known)

    def of(self, breach: Breach) -> Acknowledgement:
        """The acknowledgement of this breach."""
        return self._known[breach.id]

    def not_in(self, findings: Findings) -> list[Acknowledgement]:
        """The acknowledgements whose breach this audit has not found."""
        found = {each.id for each in findings.acknowledged}
        return [each for each in self._known.values() if each.id not in found]

    def add(self, findings: Findings, ids: Sequence[str], by: str, why: str, time: int) -> None:
        """Acknowledges these breaches of an audit. Raises `NotAcknowledged` if it has not found one."""
        found = {each.id: each for each in findings.acknowledged}
        if unknown := [name for name in ids if name not in found]:
            raise NotAcknowledged(f"this audit has not found a breach {unknown[0]}: nothing was acknowledged")
        for name in ids:
            if name not in self._known:
                breach = found[name]
                new = Acknowledgement(
                    id=name, invariant=breach.invariant, breach=str(breach), by=by, time=time, why=why
                )
                self._known[name] = new
                self._new.append(new)

    def write(self) -> None:
        """Adds the new ones to the file, and waits until the disk has them."""
        if self._path is None or not self._new:
            return
        private_file(self._path)
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(f"{each.model_dump_json()}\n" for each in self._new)
            file.flush()
            os.fsync(file.fileno())
        self._new.clear()


def _lines(path: Path) -> Iterator[Acknowledgement]:
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            yield Acknowledgement.model_validate_json(line)
        except ValidationError:
            raise NotAcknowledged(
                f"{path}, line {number}: it is no acknowledgement; bring the file back from a copy, or remove the line "
                "and acknowledge that breach again"
            ) from None
