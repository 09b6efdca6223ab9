"""The context of one audit: every check gets it."""

from pathlib import Path
from typing import NamedTuple

from saga_app.audit.cuts import Limits
from saga_app.settings import Settings


class AuditContext(NamedTuple):
    """The topics, how far they are read, and a folder for data that does not fit into memory."""

    settings: Settings
    limits: Limits
    folder: Path
    #: Milliseconds by which the clocks of several brokers may differ.
    skew: int = 0
    #: The folder of the checkpoint that the audit goes on from.
    base: Path | None = None
    #: The folder for the files of the next checkpoint; None if none is written.
    target: Path | None = None
