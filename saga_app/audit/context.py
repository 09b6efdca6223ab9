"""What every part of an audit is told."""

from pathlib import Path
from typing import NamedTuple

from saga_app.audit.cuts import Limits
from saga_app.settings import Settings


class AuditContext(NamedTuple):
    """Where the topics are, how far they are read, and a folder for what does not fit into memory."""

    settings: Settings
    limits: Limits
    folder: Path
    #: Milliseconds by which the clocks of several brokers may differ.
    skew: int = 0
    #: The folder of the checkpoint that the audit goes on from.
    base: Path | None = None
    #: The folder for the parts of the next checkpoint, where one is to be written.
    target: Path | None = None
