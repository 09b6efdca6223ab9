"""The memory of a worker's threads comes from a few arenas."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, sys, threading
from saga_app.engine.malloc import share_arenas

if sys.argv[1] == "shared":
    assert share_arenas()
together = threading.Barrier(12)

def allocate():
    together.wait()
    rows = [bytes(2_000) for _ in range(2_000)]
    together.wait()

threads = [threading.Thread(target=allocate) for _ in range(12)]
for each in threads:
    each.start()
for each in threads:
    each.join()
ctypes.CDLL(None).malloc_stats()
"""


def arenas(how: str) -> int:
    """How many glibc tells of after twelve threads have allocated at the same time."""
    plain = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True, env=plain
    )
    return done.stderr.count("Arena ")


@pytest.mark.skipif(sys.platform != "linux", reason="arenas are glibc's")
def test_twelve_threads_share_two_arenas() -> None:
    assert arenas("shared") <= 2 < arenas("not shared")
