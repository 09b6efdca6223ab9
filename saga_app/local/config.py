"""The properties of a local broker: broker and controller, alone or in a cluster, on loopback, sized for a laptop."""

import socket
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import SystemRandom

from saga_app import topics
from saga_app.local.errors import LocalKafkaError

HOST = "127.0.0.1"
#: Largest record in bytes, 2.5 MiB: our largest, of 2 MiB, with its headers and the batch around it.
LARGEST_RECORD = 5 * 1024 * 1024 // 2
#: Ports to choose from, below every system's range for outgoing connections. A client that retries while the broker is
#: down could get the broker's own port from that range, and then the broker could not bind it.
PORTS = range(20_000, 30_000)


def properties(
    port: int, controller_port: int, data: Path, controllers: Sequence[int] = ()
) -> dict[str, str]:
    """The server properties of a broker at `HOST:port` that keeps its data in `data`.

    `controllers` are the controller ports of its whole cluster, its own among them; none if it is alone. Its number
    is the place of its own there, counted from 1.
    """
    quorum = controllers or (controller_port,)
    # As in production: if one of three brokers is lost, no acknowledged record is.
    copies = min(len(quorum), 3)
    in_sync = topics.least_in_sync(copies)
    return {
        "process.roles": "broker,controller",
        "node.id": str(quorum.index(controller_port) + 1),
        "controller.quorum.voters": ",".join(
            f"{number}@{HOST}:{each}" for number, each in enumerate(quorum, 1)
        ),
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(data),
        "auto.create.topics.enable": "false",
        "default.replication.factor": str(copies),
        "min.insync.replicas": str(in_sync),
        "offsets.topic.replication.factor": str(copies),
        "transaction.state.log.replication.factor": str(copies),
        "transaction.state.log.min.isr": str(in_sync),
        "share.coordinator.state.topic.replication.factor": str(copies),
        "share.coordinator.state.topic.min.isr": str(in_sync),
        "message.max.bytes": str(LARGEST_RECORD),
        "replica.fetch.max.bytes": str(LARGEST_RECORD),
        # Tests start and stop consumers often: the group does not wait for more, and few partitions are loaded.
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "6000",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.num.partitions": "4",
        # A broker that was killed may come back only when its old session has ended: 3 s instead of 9.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
        # The default reserves 128 MiB of a heap of 512.
        "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
    }


def with_proxied_listener(settings: dict[str, str], port: int, advertised: int) -> dict[str, str]:
    """The properties with one more listener; it sends its clients to the port `advertised`, a proxy's."""
    return {
        **settings,
        "listeners": f"{settings['listeners']},PROXIED://{HOST}:{port}",
        "advertised.listeners": f"{settings['advertised.listeners']},PROXIED://{HOST}:{advertised}",
        "listener.security.protocol.map": f"{settings['listener.security.protocol.map']},PROXIED:PLAINTEXT",
    }


def as_text(settings: dict[str, str]) -> str:
    """The settings as a Java properties file, where a backslash is written twice."""
    return "".join(f"{name}={value.replace(chr(92), chr(92) * 2)}\n" for name, value in settings.items())


def free_ports(count: int, ports: Iterable[int] = PORTS) -> list[int]:
    """That many different ports of `HOST` on which nothing listens. Raises LocalKafkaError if there are too few."""
    candidates = list(ports)
    SystemRandom().shuffle(candidates)
    found: list[int] = []
    for port in candidates:
        if len(found) == count:
            break
        if is_free(port):
            found.append(port)
    if len(found) < count:
        raise LocalKafkaError(
            f"No {count} free ports on {HOST} among {len(candidates)} tried. Free some, or name a port."
        )
    return found


def is_free(port: int) -> bool:
    """True if a server can listen on this port of `HOST` now."""
    with socket.socket() as probe:
        # As the broker does: the port may have a connection of its predecessor that is still closing.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
