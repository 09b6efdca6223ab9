"""Is a broker there? Asked before a Kafka client is, since that one waits long and cannot say why."""

import socket
from typing import Final

from saga_app.kafka.topic_admin import BrokerUnreachable
from saga_app.settings import Settings

#: Seconds until a connection must stand.
PATIENCE: Final = 3.0


def reach(settings: Settings) -> None:
    """Returns if one of the brokers takes a connection; else `BrokerUnreachable` with what each one said."""
    refusals = []
    for server in settings.broker.split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()
        except (OSError, OverflowError, UnicodeError) as error:
            refusals.append(f"{server.strip()}: {getattr(error, 'strerror', None) or error}")
        else:
            return
    raise BrokerUnreachable(
        f"no broker answers ({'; '.join(refusals)}); is it running, and is SAGA_BROKER right? "
        "scripts/run starts a local one and writes its address to .run/env"
    )
