"""The runs of a worker, in a small file of its data folder: one that ends again and again must not look like a new one.

Each start and each end is a line: time, word, number of the process, exit code. A start behind another without an end
tells of a kill. The file is no part of any promise: if it cannot be read or written, the worker does without it.
"""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from saga_app.engine.exit_codes import OtherExit
from saga_app.kafka.repeated_ends import RepeatedEnds, repeated
from saga_app.times import now

logger = logging.getLogger(__name__)

NAME: Final = "runs.log"
#: Lines that are kept at a start.
_MOST: Final = 200
_WANTED: Final = (OtherExit.STOPPED, OtherExit.TERMINATED)
_STARTED: Final = "started"
_ENDED: Final = "ended"


class RunLog:
    """The file of one data folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME

    def start(self) -> None:
        """Notes that this process starts."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            kept = self._lines()[-_MOST:]
            part = self._path.with_suffix(".part")
            part.write_text("".join(f"{line}\n" for line in kept))
            part.replace(self._path)
        except OSError as error:
            logger.warning("the runs of this worker are not noted: %s", error)
        self._note(_STARTED)

    def end(self, code: int) -> None:
        """Notes that this process ends. It waits for nothing: the line need not reach the disk."""
        self._note(_ENDED, code)

    def repeated(self) -> RepeatedEnds | None:
        """The ends that nobody asked for, if there were several of late."""
        try:
            return repeated(list(self._unwanted(self._lines())), now())
        except (OSError, ValueError) as error:
            logger.warning("%s tells nothing: %s", self._path, error)
            return None

    def _note(self, word: str, code: int = 0) -> None:
        try:
            with self._path.open("a") as file:
                file.write(f"{now()} {word} {os.getpid()} {code}\n")
        except OSError as error:
            logger.warning("the runs of this worker are not noted: %s", error)

    def _lines(self) -> list[str]:
        return self._path.read_text(errors="replace").splitlines() if self._path.exists() else []

    def _unwanted(self, lines: list[str]) -> Iterator[tuple[int, int]]:
        """Time and exit code. The last start is that of the process that runs, or nobody knows how it ended."""
        is_open = False
        for line in lines:
            time, word, _, code = line.split(" ")
            if word == _ENDED:
                is_open = False
                if int(code) not in _WANTED:
                    yield int(time), int(code)
            else:
                if is_open:
                    yield int(time), OtherExit.KILLED
                is_open = True
