"""The only broker goes away under load and comes back with the same data."""

import random
import socket
from functools import partial
from typing import Final

from tests.chaos.fault import ChaosFault, Whom
from tests.chaos.steps import Steps, passing, until
from tests.chaos.system import System

#: Seconds in which a broker must have stopped, and must answer after its start.
STOPPED: Final = 60.0
ANSWERS: Final = 120.0
#: Seconds of a pause: shorter and longer than the delivery timeout of the local profile (4), and than its session (8).
SHORT: Final = (1.0, 3.0)
LONG: Final = (5.0, 11.0)


def _accepts(system: System) -> bool:
    """True if the broker takes connections. This needs no Kafka client."""
    host, port = system.broker.address.split(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def _back(system: System) -> Steps:
    system.broker.start()
    yield from until(lambda: _accepts(system), ANSWERS, "the broker takes connections again")
    system.broker_since = system.watch.count


def kill(system: System, victim: str, chance: random.Random) -> Steps:
    """kill -9, then started on the same data."""
    system.injection("broker.kill")
    system.broker.kill()
    yield from passing(chance.uniform(0, 4))
    yield from _back(system)


def restart(system: System, victim: str, chance: random.Random) -> Steps:
    """Stopped in order and started."""
    system.injection("broker.restart")
    system.broker.terminate()
    yield from until(lambda: system.broker.pid is None, STOPPED, "the broker stops")
    yield from _back(system)


def pause(
    name: str, seconds: tuple[float, float], system: System, victim: str, chance: random.Random
) -> Steps:
    """Connections stay open and nothing answers."""
    frozen = chance.uniform(*seconds)
    system.injection(name, what=f"for {frozen:.1f} s")
    system.broker.pause()
    yield from passing(frozen)
    system.broker.resume()
    system.broker_since = system.watch.count


ALL: Final = (
    ChaosFault("broker.kill", 1, Whom.BROKER, kill, "kill -9 of the broker, started again"),
    ChaosFault("broker.restart", 1, Whom.BROKER, restart, "the broker stopped in order, started again"),
    ChaosFault(
        "broker.short",
        1,
        Whom.BROKER,
        partial(pause, "broker.short", SHORT),
        "the broker frozen for 1 to 3 s",
    ),
    ChaosFault(
        "broker.long", 1, Whom.BROKER, partial(pause, "broker.long", LONG), "the broker frozen for 5 to 11 s"
    ),
)
