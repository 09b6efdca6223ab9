"""Reads batches as the broker keeps them, and unpacks no more of them than is safe.

librdkafka unpacks all that one answer brings, and bounds it for one codec of four. `saga_app.kafka.dense` says when
this client is needed.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.structs import TopicPartition
from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME

from saga_app.core.numbers import Offset
from saga_app.kafka.messages import Header, Place
from saga_app.kafka.packed import APPEND_TIME, MOST_UNPACKED, RawBatch, RawRecord, batches_in, records_in
from saga_app.security import aiokafka_options

#: Bytes of one answer; a larger batch comes whole.
_AT_A_TIME: Final = 4 * 1024 * 1024
#: Seconds to wait for an answer, and from one try to the next.
_TIMEOUT: Final = 30.0
_AGAIN: Final = 0.2
#: Kafka's isolation levels.
_UNCOMMITTED: Final = 0
_COMMITTED: Final = 1


class RawAnswer(NamedTuple):
    """The batches of one answer, where the partition ends, and the aborted transactions: producer and first offset."""

    batches: Sequence[RawBatch]
    end: Offset
    aborted: Sequence[tuple[int, int]]


class StoredRecord:
    """A record that this client has read; it answers as one of confluent-kafka does."""

    def __init__(self, place: Place, batch: RawBatch, record: RawRecord) -> None:
        self._place = place
        self._batch = batch
        self._record = record

    def topic(self) -> str:
        return self._place[0]

    def partition(self) -> int:
        return self._place[1]

    def offset(self) -> int:
        return self._record.offset

    def timestamp(self) -> tuple[int, int]:
        is_append_time = self._batch.attributes & APPEND_TIME
        return TIMESTAMP_LOG_APPEND_TIME if is_append_time else TIMESTAMP_CREATE_TIME, self._record.time

    def key(self) -> bytes | None:
        return self._record.key

    def value(self) -> bytes | None:
        return self._record.value

    def headers(self) -> Sequence[Header]:
        return self._record.headers

    def leader_epoch(self) -> int:
        return self._batch.epoch

    def error(self) -> None:
        """It is always a record."""


class RawClient:
    """A client of its own, for as long as it is needed. Its methods block; `TimeoutError` if a broker is silent."""

    def __init__(self, config: Mapping[str, Any], topics: Iterable[str]) -> None:
        """`config` is that of librdkafka's clients."""
        self._config = config
        self._topics = list(topics)
        self._runner = asyncio.Runner()
        self._client: Any = None

    def __enter__(self) -> Self:
        try:
            self._runner.run(self._open())
        except (KafkaError, TimeoutError) as error:
            self.__exit__(None, None, None)
            raise TimeoutError(f"no broker answers: {error!r}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            self._runner.run(self._client.close())
        self._runner.close()

    def batches(self, place: Place, start: int, end: int | None = None) -> Iterator[RawBatch]:
        """Every batch from this offset up to `end`, or where the partition ends now. Raises `KafkaError`."""
        at = start
        while end is None or at < end:
            answer = self._fetch(place, at, _UNCOMMITTED)
            end = answer.end if end is None else end
            yield from answer.batches
            if not answer.batches:
                return
            at = answer.batches[-1].last + 1

    def read(
        self, place: Place, start: int, end: int, *, committed: bool = True
    ) -> tuple[list[StoredRecord], Offset]:
        """Some records from `start` up to, not including, `end`, and the offset behind them.

        It is `start` where an open transaction is in the way.
        """
        try:
            answer = self._fetch(place, start, _COMMITTED if committed else _UNCOMMITTED)
        except KafkaError as error:
            raise TimeoutError(f"the batches of {place[0]}[{place[1]}] cannot be read: {error!r}") from error
        open_, waiting = set[int](), sorted(answer.aborted, key=lambda each: each[1])
        records: list[StoredRecord] = []
        size, reached = 0, start
        for batch in answer.batches:
            if batch.first >= end or size >= MOST_UNPACKED:
                break
            while waiting and waiting[0][1] <= batch.last:
                open_.add(waiting.pop(0)[0])
            reached = batch.last + 1
            if batch.is_control:
                if batch.is_abort:
                    open_.discard(batch.producer)
            elif not (batch.is_transactional and batch.producer in open_):
                for record in records_in(batch):
                    if start <= record.offset < end:
                        records.append(StoredRecord(place, batch, record))
                        size += len(record.value or b"")
        return records, Offset(min(reached, end))

    def _fetch(self, place: Place, offset: int, isolation: int) -> RawAnswer:
        try:
            return self._runner.run(self._ask(place, offset, isolation))
        except TimeoutError as error:
            raise TimeoutError(f"no batches of {place[0]}[{place[1]}] for {_TIMEOUT:.0f} s") from error

    async def _open(self) -> None:
        self._client = AIOKafkaClient(**aiokafka_options(self._config))
        self._client.set_topics(self._topics)
        async with asyncio.timeout(_TIMEOUT):
            await self._client.bootstrap()

    async def _ask(self, place: Place, offset: int, isolation: int) -> RawAnswer:
        """Asks until there are batches, or the partition ends at this offset."""
        request = FetchRequest(0, 0, _AT_A_TIME, isolation, [(place[0], [(place[1], offset, _AT_A_TIME)])])
        async with asyncio.timeout(_TIMEOUT):
            while True:
                leader = self._client.cluster.leader_for_partition(TopicPartition(*place))
                if leader not in (None, -1):
                    _, code, *ends, batches = (await self._client.send(leader, request)).topics[0][1][0]
                    if code and not (error := for_code(code)()).retriable:
                        raise error
                    # The first is where the partition ends, the second where open transactions begin.
                    if not code and (batches or offset >= ends[isolation]):
                        aborted = next((each for each in ends if isinstance(each, list)), [])
                        return RawAnswer(list(batches_in(bytes(batches or b""))), Offset(ends[0]), aborted)
                await asyncio.sleep(_AGAIN)
                await self._client.force_metadata_update()
