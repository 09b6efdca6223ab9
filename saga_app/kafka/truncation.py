"""Asks a broker whether it still has the records that were read: KIP-320, as far as a client can ask."""

import time
from collections.abc import Mapping
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from saga_app.kafka.messages import Place
from saga_app.kafka.retries import RETRIABLE
from saga_app.settings import readers_group

#: Seconds to wait for an answer.
TIMEOUT: Final = 30.0


def is_truncated(config: Mapping[str, Any], place: Place, at: int, epoch: int) -> bool:
    """True if the log of this leader epoch ended below the offset: records were lost.

    Raises `KafkaException`, and `TimeoutError` if no broker answers.
    """
    consumer = Consumer(
        {
            **config,
            "group.id": readers_group(config),
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            # A broker answers at the end of a partition, where most are asked, only after this time.
            "fetch.wait.max.ms": 10,
        }
    )
    try:
        consumer.assign([TopicPartition(*place, at, leader_epoch=epoch)])
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            message = consumer.poll(0.5)
            error = None if message is None else message.error()
            if message is not None and (error is None or error.code() == KafkaError._PARTITION_EOF):
                return False
            if error is not None and error.code() == KafkaError._AUTO_OFFSET_RESET:
                # Else the offset is out of range: retention deleted what was there.
                return "truncation" in error.str()
            if error is not None and error.code() not in RETRIABLE:
                raise KafkaException(error)
        raise TimeoutError(f"no broker answers about {place[0]}[{place[1]}]")
    finally:
        consumer.close()
