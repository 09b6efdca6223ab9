"""The timeouts of workers and clients, for a broker on this machine and for a cluster."""

from typing import Final, NamedTuple


class Timeouts(NamedTuple):
    """Timeouts in seconds. `delivery` is shorter than `session`: a worker gives a record up before it has a successor.

    A client that gets no answer for `answer` seconds goes to another broker, since a frozen broker, or one behind a cut
    network, keeps its connections. So it has time to find a partition's new leader, or the group's new coordinator.
    """

    session: float
    heartbeat: float
    delivery: float
    rebalance: float
    commit: float
    answer: float


#: `local` is for one broker on this machine; `cluster` allows for the failover of a broker, 9 s and more.
PROFILES: Final = {
    "local": Timeouts(session=8.0, heartbeat=1.0, delivery=4.0, rebalance=30.0, commit=1.0, answer=3.0),
    "cluster": Timeouts(session=45.0, heartbeat=3.0, delivery=20.0, rebalance=60.0, commit=2.0, answer=6.0),
}
