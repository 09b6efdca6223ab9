"""Finds a consumer that has lost its brokers for good and looks like one of a quiet topic.

librdkafka (2.13 to 2.16 at least, librdkafka#5301) forgets every broker, and for good, when a broker answers with an
empty list of brokers and closes the connection, as a lone broker does while it stops. The client reports no error, and
the ends of partitions that it knows stay as they were.
"""

import time
from collections.abc import Callable
from typing import Final

from confluent_kafka import Consumer, KafkaException

#: Seconds without a record before the consumer is asked, and seconds in which a broker must answer it.
SILENT: Final = 10.0
ANSWER: Final = 4.0


class Liveness:
    """Watches one consumer; its owner makes a new consumer when this one is cut off."""

    def __init__(self, topic: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._topic = topic
        self._clock = clock
        self._heard = clock()

    def heard(self) -> None:
        """Call it when a record comes, or when a new consumer begins."""
        self._heard = self._clock()

    def is_cut_off(self, consumer: Consumer) -> bool:
        """True if the consumer was silent for `SILENT` seconds and no broker answers it. Blocks for `ANSWER` at most.

        It is also true while all brokers are down: a new consumer does no harm then.
        """
        if self._clock() - self._heard < SILENT:
            return False
        self.heard()
        try:
            return not consumer.list_topics(self._topic, timeout=ANSWER).brokers
        except KafkaException:
            return True
