"""Ports for what tests start: no two processes of one run are given the same, and none is given twice soon."""

import os
from collections.abc import Iterator
from itertools import cycle
from random import SystemRandom
from typing import Final

from saga_app.local.config import is_free

#: Below a local broker's ports and every system's range for outgoing connections: a port that was found free stays so
#: until its process listens, also when that one is stopped and started again.
PORTS: Final = range(10_000, 20_000)


def _own() -> Iterator[int]:
    """The ports of this process, which may be one of several that pytest-xdist runs."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ports = list(PORTS[number::count])
    SystemRandom().shuffle(ports)
    return cycle(ports)


_ports = _own()


def free_port() -> int:
    """A port that nobody listens on."""
    return next(port for port in _ports if is_free(port))
