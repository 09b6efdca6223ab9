"""CPU of the rounds alone: all four services over lists instead of topics, with real RocksDB.

`python -m bench.rounds` prints the least of several times: whatever disturbs makes it more.
"""

import argparse
import asyncio
import gc
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from bench import load
from saga_app import topics
from saga_app.audit.refold import service_of
from saga_app.core.numbers import FIRST, Generation, Offset
from saga_app.core.records import Record, RetentionStarted
from saga_app.engine.partition_state import PartitionState
from saga_app.engine.retention import SEGMENT_WIDTH
from saga_app.engine.round import MOST_WRITTEN, Round
from saga_app.engine.stores.rocks import Memory, RocksStore
from saga_app.kafka.messages import Batch, Message, Offsets, Outgoing, Place, outgoing
from saga_app.kafka.signatures import Signatures
from saga_app.signing_keys import SignedTime, SigningKey, SigningKeys
from saga_app.wire import BoundedCache, Decoder

PARTITIONS: Final = topics.DEFAULT_PARTITIONS
#: Records that a round is given, as many as a fetch brings at most.
MOST: Final = 2_000
GENERATION: Final = Generation(1)


class RoundsWorld:
    """Every topic as a list, every service as it is."""

    def __init__(self, folder: Path, *, signed: bool = False) -> None:
        keys = SigningKeys({"bench": SigningKey("bench", b"k" * 32)}, SignedTime(0))
        self._signatures = Signatures(keys) if signed else None
        self.waiting: dict[tuple[str, int], list[Message]] = defaultdict(list)
        self._ends: dict[tuple[str, int], Offset] = defaultdict(lambda: FIRST)
        memory = Memory()
        self.written = BoundedCache[Record](MOST_WRITTEN)
        self.decoder = Decoder()
        self._stores: list[RocksStore] = []
        self.rounds = {topic: self._round(topic, folder, memory) for topic in topics.INBOXES}

    def close(self) -> None:
        """Gives up the files; RocksDB would try for half a minute to write into a folder that is gone."""
        for store in self._stores:
            store.close()

    async def append(self, records: Sequence[Outgoing], generation: Generation) -> Offsets:
        """The log port; a record for an inbox waits there."""
        written: defaultdict[Place, list[Offset]] = defaultdict(list)
        for record in records:
            offset = self._append(record if self._signatures is None else self._signed(record))
            if record.partition is not None:
                written[record.topic, record.partition].append(offset)
        return written

    def _signed(self, record: Outgoing) -> Outgoing:
        """As a worker's producer does."""
        assert self._signatures is not None
        headers = self._signatures.signed(record, _partition_of(record))
        return record._replace(headers=headers) if headers else record

    def is_current(self, generation: Generation) -> bool:
        return True

    def done(self, partition: int, start: Offset, end: Offset, generation: Generation) -> None:
        """This benchmark commits no offsets."""

    def place(self, messages: Iterable[load.LoadRecord]) -> None:
        """As a shop would send them."""
        for topic, value, key in messages:
            self._append(Outgoing(topic, key, value))

    def start_retention(self) -> None:
        """From now on orders enter segments, as with SAGA_ORDER_RETENTION."""
        for partition in range(PARTITIONS):
            self._append(outgoing(RetentionStarted(partition=partition, segment_width=SEGMENT_WIDTH)))

    async def run(self) -> None:
        """Rounds of all services in turn, until nothing waits."""
        while any(self.waiting.values()):
            for topic, rounds in self.rounds.items():
                if batches := list(self._take(topic)):
                    for decided in rounds.decide(batches):
                        await rounds.forward(decided)

    def _take(self, topic: str) -> Iterable[Batch]:
        room = MOST
        for partition in range(PARTITIONS):
            waiting = self.waiting[topic, partition]
            taken, waiting[:] = waiting[:room], waiting[room:]
            room -= len(taken)
            if taken:
                yield Batch(partition, taken[0].offset, Offset(taken[-1].offset + 1), GENERATION, taken)

    def _append(self, record: Outgoing) -> Offset:
        place = record.topic, _partition_of(record)
        offset = self._ends[place]
        self._ends[place] = Offset(offset + 1)
        if record.topic in self.rounds:
            self.waiting[place].append(Message(offset, 0, record.key, record.value, record.headers))
        return offset

    def _store(self, path: Path, memory: Memory) -> RocksStore:
        self._stores.append(RocksStore(path, memory))
        return self._stores[-1]

    def _round(self, topic: str, folder: Path, memory: Memory) -> Round:
        service = service_of(topic)
        states = {
            each: PartitionState(
                service.decider.journal,
                service.decider.balances,
                {table: self._store(folder / f"{table}-{each}", memory) for table in service.tables},
            )
            for each in range(PARTITIONS)
        }
        return Round(
            topic,
            service.decider,
            PARTITIONS,
            lambda table: topics.changelog("rounds", table),
            inbox=self,
            journal=self,
            publisher=self,
            states=states,
            written=self.written,
            decoder=self.decoder,
            signatures=self._signatures,
        )


def _partition_of(record: Outgoing) -> int:
    assert record.key is not None
    if record.partition is not None:
        return record.partition
    return topics.partition_of(record.key.decode(), PARTITIONS)


async def measured(world: RoundsWorld, orders: int, times: int, *, segments: bool = False) -> float:
    """Microseconds of CPU per order, the least of so many times."""
    if segments:
        world.start_retention()
    world.place(load.supplies())
    await world.run()
    taken = []
    for number in range(times):
        world.place(load.mix(orders, f"rounds-{number}").messages)
        began = time.process_time()
        await world.run()
        taken.append((time.process_time() - began) / orders * 1e6)
    return min(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=2_500)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument(
        "--segments", action="store_true", help="orders enter segments, as with SAGA_ORDER_RETENTION"
    )
    parser.add_argument("--signed", action="store_true", help="workers sign, as with SAGA_SIGNING_KEYS")
    asked = parser.parse_args()
    # As a worker does.
    gc.freeze()
    gc.set_threshold(200_000, 20, 50)
    with tempfile.TemporaryDirectory() as folder:
        world = RoundsWorld(Path(folder), signed=asked.signed)
        try:
            least = asyncio.run(measured(world, asked.orders, asked.times, segments=asked.segments))
        finally:
            world.close()
    print(f"{least:.0f} us of CPU per order")


if __name__ == "__main__":
    main()
