"""Checks that a broker takes connections. A Kafka client would wait long and could not say why."""

import socket
from typing import Final

from saga_app.kafka.topic_admin import BrokerUnreachable
from saga_app.settings import Settings

#: Seconds to wait for a connection.
TIMEOUT: Final = 3.0


def refusals(settings: Settings) -> list[str]:
    """The answer of each broker if none of them takes a connection, else nothing."""
    found = []
    for server in settings.broker.split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=TIMEOUT).close()
        except (OSError, OverflowError, UnicodeError) as error:
            found.append(f"{server.strip()}: {getattr(error, 'strerror', None) or error}")
        else:
            return []
    return found


def require_broker(settings: Settings) -> None:
    """Raises `BrokerUnreachable`, with the answer of each broker, if none of them takes a connection."""
    if found := refusals(settings):
        raise BrokerUnreachable(
            f"no broker answers ({'; '.join(found)}); is it running, and is SAGA_BROKER right? "
            "scripts/run starts a local one and writes its address to .run/env"
        )
