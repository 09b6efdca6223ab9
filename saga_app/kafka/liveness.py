"""Whether a consumer that hears nothing still has a broker to hear it from.

librdkafka (2.13 to 2.16 at least, librdkafka#5301) forgets every broker, and for good, when one answers with an empty
list of brokers and closes the connection, as a lone broker does while it stops. From outside that is a quiet topic:
no error is told, and what it knows of the partitions' ends stays as it was.
"""

import time
from collections.abc import Callable
from typing import Final

from confluent_kafka import Consumer, KafkaException

#: Seconds without a record after which the consumer is asked, and in which it must answer.
SILENT: Final = 10.0
ANSWER: Final = 4.0


class Liveness:
    """Of one consumer at a time; its owner makes a new one when it is cut off."""

    def __init__(self, topic: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._topic = topic
        self._clock = clock
        self._heard = clock()

    def heard(self) -> None:
        """Something came, or a new consumer begins."""
        self._heard = self._clock()

    def is_cut_off(self, consumer: Consumer) -> bool:
        """Whether it was silent for long, and no broker answers it either. Blocks for at most `ANSWER` seconds.

        That is so too while all brokers are down: a new consumer is no worse then.
        """
        if self._clock() - self._heard < SILENT:
            return False
        self.heard()
        try:
            return not consumer.list_topics(self._topic, timeout=ANSWER).brokers
        except KafkaException:
            return True
