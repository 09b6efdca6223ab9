"""How pytest-xdist deals tests out: in units whose tests share a costly fixture, the longest units first."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

import pytest
from xdist.scheduler import LoadScopeScheduling

#: Every test of these folders takes seconds and shares nothing with another: each is a unit of its own.
ALONE: Final = ("tests/simulation/",)
#: The tests of these folders share topics that a worker has filled: each folder is one unit.
TOGETHER: Final = ("tests/orderdb/",)
#: About how many seconds a test of a file or folder takes that needs a broker or is slow; the first that fits counts. A
#: file that takes a minute more than is said here may begin last, and then the other processes wait for it.
SECONDS: Final = {
    "tests/live/test_health.py": 160.0,
    "tests/live/test_crash_points.py": 120.0,
    "tests/security/test_whole_path.py": 100.0,
    "tests/live/test_rebuild.py": 90.0,
    "tests/live/test_foreign_records.py": 80.0,
    "tests/live/test_hostile_records.py": 60.0,
    "tests/live/test_signed.py": 60.0,
    "tests/live/test_cut_topics.py": 50.0,
    "tests/live/test_lost_rows.py": 40.0,
    "tests/simulation/test_exhaustive.py": 60.0,
    "tests/simulation/test_defects.py": 60.0,
    "tests/audit/test_audits_in_a_row.py": 60.0,
    "tests/chaos/": 180.0,
    "tests/examples/": 30.0,
    "tests/test_readme.py": 20.0,
    "tests/live/": 20.0,
    "tests/simulation/": 10.0,
    "tests/orderdb/": 5.0,
    "tests/security/": 5.0,
}
#: In any other folder, and a test that is neither.
OTHERWISE: Final = 1.0
PURE: Final = 0.02


def unit_of(nodeid: str) -> str:
    """Tests of one unit run in one process, one after the other: those of a file, as long as nothing else is said."""
    for folder in TOGETHER:
        if nodeid.startswith(folder):
            return folder
    return nodeid if nodeid.startswith(ALONE) else nodeid.partition("::")[0]


def longest_first(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Units in the order in which they should begin, so that no long one is left for the end."""
    items = list(items)
    seconds: defaultdict[str, float] = defaultdict(float)
    for item in items:
        seconds[unit_of(item.nodeid)] += _seconds(item)
    return sorted(items, key=lambda item: -seconds[unit_of(item.nodeid)])


def _seconds(item: pytest.Item) -> float:
    if not any(item.iter_markers("live")) and not any(item.iter_markers("slow")):
        return PURE
    return next((each for place, each in SECONDS.items() if item.nodeid.startswith(place)), OTHERWISE)


class Units(LoadScopeScheduling):  # type: ignore[misc]
    """Gives each process the next unit when it has almost done its last one."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)
