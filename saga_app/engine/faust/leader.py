"""The group's leader knows the topics before it assigns their partitions.

aiokafka asks for the topics of a subscription once. A worker that could not be answered, since the broker had just gone
away, asks again after five minutes; elected leader meanwhile, it finds no partitions, warns of "missing topics" and
assigns nothing to anybody: every worker of the group is alive, ready and idle. Found by `scripts/chaos` (kill -9 of the
broker while a worker starts).
"""

import asyncio
import time
from typing import Any, Final

from aiokafka.errors import KafkaError

#: Seconds between two questions.
PAUSE: Final = 0.1


def know_topics_first(coordinator: Any, longest: float) -> None:
    """From now on every assignment waits until all topics are known; `KafkaError` after so many seconds.

    That error is parked in the coordinator, where the watchdog finds it and ends the process.
    """
    perform = coordinator._perform_assignment

    async def perform_with_topics(response: Any) -> Any:
        end = time.monotonic() + longest
        while missing := _missing(coordinator):
            if time.monotonic() > end:
                raise KafkaError(f"the broker tells nothing of the topics {', '.join(missing)}")
            if not await coordinator._client.force_metadata_update() or _missing(coordinator):
                await asyncio.sleep(PAUSE)
        return await perform(response)

    coordinator._perform_assignment = perform_with_topics


def keep_to(coordinator: Any, partitions: int) -> None:
    """Partitions that somebody adds to a topic are not seen: no state belongs to them.

    Faust would no longer give a worker the same partitions of that topic and of the others, and each change of their
    number would begin a rebalance.
    """
    cluster = coordinator._client.cluster
    all_of = cluster.partitions_for_topic

    def first_of(topic: str) -> set[int] | None:
        found = all_of(topic)
        return None if found is None else {each for each in found if each < partitions}

    cluster.partitions_for_topic = first_of


def _missing(coordinator: Any) -> list[str]:
    cluster = coordinator._client.cluster
    return sorted(
        topic for topic in coordinator._subscription.topics if not cluster.partitions_for_topic(topic)
    )
