"""Ending the process: the answer to every failure in a round. Nothing was acknowledged, so nothing is lost."""

import os
from enum import IntEnum
from typing import NoReturn


class Exit(IntEnum):
    """Why a worker ended by itself; a supervisor restarts it after any of them."""

    TOPICS_WRONG = 64
    BROKER_UNREACHABLE = 65
    WEB_PORT_TAKEN = 66
    ROUND_FAILED = 70
    LEASE_LOST = 71
    ROWS_MISSING = 72
    ROWS_MISSING_AGAIN = 73
    RESTORE_FAILED = 74
    STUCK = 75
    STOP_TOO_SLOW = 76
    REVOKE_TOO_SLOW = 77
    STORE_DAMAGED = 78
    DISK_FAILED = 79
    RECORDS_CUT = 80
    BROKER_REFUSED = 81
    LATE_WRITES = 82


def die(code: Exit, message: str) -> NoReturn:
    """One clear line on stderr, then the end, without any of the ways in which Faust could acknowledge a record."""
    line = f"saga worker ends ({code.name.lower()}, exit {code.value}): {message}"
    # Past sys.stderr, which Faust may have turned into a log, and past any lock that the log may hold.
    os.write(2, (" ".join(line.split()) + "\n").encode())
    os._exit(code)
