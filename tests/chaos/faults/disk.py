"""Files of a worker's tables are damaged while it is down."""

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from tests.chaos.fault import ChaosFault, Whom
from tests.chaos.steps import Steps
from tests.chaos.system import System

#: Bytes that are turned over in one place.
FLIPPED: Final = 16


def flip(database: Path, chance: random.Random) -> str:
    """Some bytes of one file are others."""
    files = [
        each for each in _files(database, "*") if each.name != "LOCK" and not each.name.startswith("LOG")
    ]
    file = chance.choice(files)
    data = bytearray(file.read_bytes())
    at = chance.randrange(len(data))
    data[at : at + FLIPPED] = bytes(byte ^ 0xFF for byte in data[at : at + FLIPPED])
    file.write_bytes(data)
    return f"{database.name}/{file.name}: bytes from {at} of {len(data)} are others"


def cut(database: Path, chance: random.Random) -> str:
    """The write-ahead log, or what there is of the rows, ends in the middle."""
    file = chance.choice(
        _files(database, "*.log") or _files(database, "*.sst") or _files(database, "MANIFEST*")
    )
    size = file.stat().st_size
    left = chance.randrange(size)
    with file.open("r+b") as opened:
        opened.truncate(left)
    return f"{database.name}/{file.name}: {left} of {size} bytes are left"


def headless(database: Path, chance: random.Random) -> str:
    """CURRENT, without which nothing opens, is missing."""
    (database / "CURRENT").unlink(missing_ok=True)
    return f"{database.name}: no CURRENT"


def damaged(
    name: str, how: Callable[[Path, random.Random], str], system: System, victim: str, chance: random.Random
) -> Steps:
    """kill -9, two databases damaged, started again."""
    member = system.member(victim)
    injection = system.kill(name, member)
    databases = sorted(path for path in (member.worker.data / "tables").glob("*.db") if _files(path, "*"))
    if databases:
        injection.what = "; ".join(
            how(path, chance) for path in chance.sample(databases, min(2, len(databases)))
        )
    else:
        injection.why_not = "it had no database yet"
    system.supervisor.start(member)
    yield


def _files(database: Path, pattern: str) -> list[Path]:
    return sorted(each for each in database.glob(pattern) if each.is_file() and each.stat().st_size)


ALL: Final = (
    ChaosFault(
        "disk.flip",
        1,
        Whom.ONE,
        partial(damaged, "disk.flip", flip),
        "kill -9, bytes of its databases flipped",
    ),
    ChaosFault(
        "disk.cut", 1, Whom.ONE, partial(damaged, "disk.cut", cut), "kill -9, its write-ahead logs cut off"
    ),
    ChaosFault(
        "disk.current",
        1,
        Whom.ONE,
        partial(damaged, "disk.current", headless),
        "kill -9, CURRENT files removed",
    ),
)
