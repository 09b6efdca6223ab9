"""The log port: rows and records of rounds, repairs and timers, written in the main loop.

Faust's own producer gives up flushing after 0.1 s (`docs/reference/faust.md#a9`), only logs failed sends
(`docs/reference/faust.md#a10`) and is not idempotent (`docs/reference/faust.md#a20`).
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import Any, Final

from confluent_kafka import murmur2

from saga_app.core.numbers import Generation, Offset
from saga_app.engine.exits import Exit, Fatal
from saga_app.engine.lease import Lease
from saga_app.engine.ports import DeliveryFailed, DeliveryTimedOut
from saga_app.engine.stores.extent import cut_while_running
from saga_app.kafka.broker_errors import refused
from saga_app.kafka.idempotent import BatchRefused, IdempotentProducer, RecordBatch
from saga_app.kafka.messages import Offsets, Outgoing, Place
from saga_app.kafka.signatures import Signatures
from saga_app.topics import is_changelog

#: Bytes of the batches that are sent together; a broker takes requests of 100 MiB.
MOST_TOGETHER: Final = 32 * 1024 * 1024


class _LeaseOver(Exception):
    """Nothing was sent."""


class _Append:
    """An append: what is left of it, by place and in order, and the offsets of what is written."""

    def __init__(self, generation: Generation, left: dict[Place, list[RecordBatch]]) -> None:
        self.generation = generation
        self.left = left
        self.offsets: defaultdict[Place, list[Offset]] = defaultdict(list)
        self.told: asyncio.Future[None]

    def written(self, place: Place, first: Offset | None) -> None:
        batch = self.left[place].pop(0)
        if not self.left[place]:
            del self.left[place]
        if first is not None:
            self.offsets[place].extend(map(Offset, range(first, first + batch.count)))

    def end(self, failure: Exception | None) -> None:
        if self.told.cancelled():
            return
        if failure is None or isinstance(failure, _LeaseOver):
            self.told.set_result(None)
        else:
            self.told.set_exception(failure)


class KafkaLog:
    """Appends records. Appends that wait for each other are sent together, one batch for each partition.

    It chooses every partition itself: no worker reads those that somebody added to a topic, and no key belongs there.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        delivery_timeout: float,
        lease: Lease,
        partitions: int,
        signatures: Signatures | None = None,
    ) -> None:
        self.lease = lease
        self.partitions = partitions
        self._timeout = delivery_timeout
        self._signatures = signatures
        self._without_key = cycle(range(partitions))
        self._producer = IdempotentProducer(config)
        self._waiting: list[_Append] = []
        self._writing: asyncio.Task[None] | None = None
        #: By changelog partition, the offset of the last row written.
        self._last: dict[Place, Offset] = {}

    async def append(self, records: Sequence[Outgoing], generation: Generation) -> Offsets:
        """See `ports.Log`; `DeliveryFailed` if the broker did not take one of them in time."""
        append = _Append(generation, self._batches(records))
        await self.lease.hold(generation)
        while append.left:
            await self._sent(append)
            if append.left:
                await self.lease.hold(generation)
        self._check(append.offsets)
        return append.offsets

    async def close(self) -> None:
        """Gives up what is on its way."""
        if self._writing is not None:
            self._writing.cancel()
        await self._producer.close()

    def _batches(self, records: Sequence[Outgoing]) -> dict[Place, list[RecordBatch]]:
        found: dict[Place, list[RecordBatch]] = {}
        now = int(time.time() * 1000)
        for record in records:
            topic, key, value, partition, headers = record
            if partition is None:
                partition = next(self._without_key) if key is None else murmur2(key, self.partitions)
            if self._signatures is not None:
                headers = self._signatures.signed(record, partition)
            batches = found.setdefault((topic, partition), [])
            if not batches or not batches[-1].add(now, key, value, headers):
                batches.append(RecordBatch())
                batches[-1].add(now, key, value, headers)
        return found

    async def _sent(self, append: _Append) -> None:
        """Returns when nothing is left of it, or when the lease was over before its turn came."""
        append.told = asyncio.get_running_loop().create_future()
        self._waiting.append(append)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write(), name="log")
        await append.told

    async def _write(self) -> None:
        """Sends until nothing waits: of each partition one batch at a time, so that they keep their order."""
        while turn := self._turn():
            batches = {place: append.left[place][0] for place, append in turn.items()}
            failure: Exception | None = None
            try:
                async with asyncio.timeout(self._timeout):
                    for place, first in (await self._producer.write(batches, self._asked(turn))).items():
                        turn[place].written(place, first)
            except BatchRefused as error:
                failure = DeliveryFailed(f"{error.topic}: {refused(error.error) or error.error}")
            except TimeoutError:
                topics = ", ".join(sorted({topic for topic, _ in turn}))
                why = f"not written within {self._timeout} s: {self._producer.trouble}"
                failure = DeliveryTimedOut(f"{topics}: {why}")
            except Exception as error:
                failure = error
            for append in set(turn.values()):
                if failure is not None or not append.left:
                    self._waiting.remove(append)
                    append.end(failure)

    def _turn(self) -> dict[Place, _Append]:
        """The first that waits for each place, as many as may be sent together."""
        self._waiting = [append for append in self._waiting if not append.told.cancelled()]
        turn: dict[Place, _Append] = {}
        size = 0
        for append in self._waiting:
            for place, (first, *_) in append.left.items():
                if size < MOST_TOGETHER and turn.setdefault(place, append) is append:
                    size += first.size
        return turn

    def _asked(self, turn: Mapping[Place, _Append]) -> Callable[[], None]:
        """The question that the producer asks directly before it sends: the lease the first time, then the clock.

        A process that is paused would otherwise send when it wakes what its successor may have decided.
        """
        clock = self.lease.clock
        until = clock() + self._timeout
        generations = {append.generation for append in turn.values()}

        def ask() -> None:
            while generations:
                if not self.lease.holds(generations.pop()):
                    raise _LeaseOver
            if clock() > until:
                raise TimeoutError

        return ask

    def _check(self, offsets: Offsets) -> None:
        """Rows of a changelog come behind those before them, or it lost some: only this worker writes there now."""
        for place, found in offsets.items():
            if not is_changelog(place[0]):
                continue
            if found[0] <= self._last.get(place, -1) or found[-1] < found[0]:
                before = self._last.get(place)
                lacking = f"rows were written at offset {found[0]}, and others before at {before}"
                raise Fatal(Exit.CHANGELOG_CUT, cut_while_running(*place, lacking))
            self._last[place] = found[-1]
