"""The time, as Kafka writes it."""

import time


def now() -> int:
    """This machine's time in milliseconds since 1970."""
    return int(time.time() * 1000)
