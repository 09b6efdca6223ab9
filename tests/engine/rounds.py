"""Rounds in memory, and the rows that each of them journalled."""

from collections.abc import Sequence

from saga_app import topics
from saga_app.core.records import Record
from saga_app.kafka.messages import Message
from tests.support.memory import MemoryBroker, MemoryWorker, batch, finish, message, run
from tests.support.plan import DECIDERS


def worker(topic: str = topics.PAYMENT, partitions: int = 1, partition: int = 0) -> MemoryWorker:
    """A worker of one service in memory, started."""
    started = MemoryWorker(MemoryBroker(partitions), topic, DECIDERS[topic], partition=partition)
    started.start()
    return started


def in_sequence(*records: Record | bytes | None) -> list[Message]:
    """These records, one after the other."""
    return [message(record, offset) for offset, record in enumerate(records)]


def rounds(of: MemoryWorker, messages: Sequence[Message], *sizes: int) -> list[list[bytes]]:
    """The keys of the rows that each round journalled."""
    found: list[list[bytes]] = []
    append = of.journal.append

    async def noting(records, generation):
        found.append([record.key for record in records])
        return await append(records, generation)

    of.journal.append = noting  # type: ignore[method-assign]
    cuts = [*sizes, len(messages)]
    batches = []
    while messages:
        size = cuts.pop(0)
        batches.append(batch(messages[:size], of.partition))
        messages = messages[size:]
    finish(run(of.round, batches))
    return found
