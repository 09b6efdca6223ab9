"""The settings of a peer's program: by the environment, since it is a process of its own."""

import os
from typing import NamedTuple


class Place(NamedTuple):
    """The broker as host:port, the name of consumer group and changelogs, an empty folder, partitions of a topic."""

    broker: str
    group: str
    data: str
    partitions: int


def place() -> Place:
    """As the environment says."""
    return Place(
        os.environ["BENCH_BROKER"],
        os.environ["BENCH_GROUP"],
        os.environ["BENCH_DATA"],
        int(os.environ["BENCH_PARTITIONS"]),
    )
