"""Reads batches as the broker keeps them, and unpacks no more of them than is safe.

librdkafka unpacks all that one answer brings, and bounds it for one codec of four. `saga_app.kafka.dense` says when
this client is needed.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, OffsetOutOfRangeError, for_code
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
_TIMEOUT: Final = 10.0
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
    """Connects when it is first used, and anew after a silence; its methods block, and belong to one thread."""

    def __init__(self, config: Mapping[str, Any], topics: Iterable[str]) -> None:
        """`config` is that of librdkafka's clients."""
        self._config = config
        self._topics = list(topics)
        self._runner = asyncio.Runner()
        self._client: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives up the connections, for good."""
        self._disconnect()
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
        records: list[StoredRecord] = []
        size, reached = 0, start
        for batch, has_records in _with_fate(answer):
            if batch.first >= end or size >= MOST_UNPACKED:
                break
            reached = batch.last + 1
            if has_records:
                for record in records_in(batch):
                    if start <= record.offset < end:
                        records.append(StoredRecord(place, batch, record))
                        size += len(record.value or b"")
        return records, Offset(min(reached, end))

    def has_records(self, place: Place, gaps: Sequence[range]) -> bool:
        """True if a batch with records that may be read holds some of these offsets, which rise; or if nobody can tell.

        Else they are the ends of transactions, aborted records, or nothing at all.
        """
        left = deque(gaps)
        while left:
            try:
                answer = self._fetch(place, left[0].start, _COMMITTED)
            except OffsetOutOfRangeError:
                # The beginning was deleted.
                left.popleft()
                continue
            except (KafkaError, TimeoutError):
                return True
            if not answer.batches:
                return False
            for batch, has_records in _with_fate(answer):
                while left and left[0].stop <= batch.first:
                    left.popleft()
                if has_records and left and left[0].start <= batch.last:
                    return True
            behind = answer.batches[-1].last + 1
            while left and left[0].stop <= behind:
                left.popleft()
            if left and left[0].start < behind:
                left[0] = range(behind, left[0].stop)
        return False

    def _fetch(self, place: Place, offset: int, isolation: int) -> RawAnswer:
        try:
            return self._runner.run(self._ask(place, offset, isolation))
        except TimeoutError as error:
            self._disconnect()
            raise TimeoutError(
                f"no batches of {place[0]}[{place[1]}]: {str(error) or 'no answer'}"
            ) from error

    def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            self._runner.run(client.close())

    async def _ask(self, place: Place, offset: int, isolation: int) -> RawAnswer:
        """Asks until there are batches, or the partition ends at this offset. Raises errors that do not pass."""
        request = FetchRequest(0, 0, _AT_A_TIME, isolation, [(place[0], [(place[1], offset, _AT_A_TIME)])])
        async with asyncio.timeout(_TIMEOUT):
            while True:
                try:
                    client = await self._connected()
                    leader = client.cluster.leader_for_partition(TopicPartition(*place))
                    if leader not in (None, -1):
                        _, code, *ends, batches = (await client.send(leader, request)).topics[0][1][0]
                        if code:
                            raise for_code(code)()
                        # The first is where the partition ends, the second where open transactions begin.
                        if batches or offset >= ends[isolation]:
                            aborted = next((each for each in ends if isinstance(each, list)), [])
                            return RawAnswer(
                                list(batches_in(bytes(batches or b""))), Offset(ends[0]), aborted
                            )
                except KafkaError as error:
                    if not error.retriable:
                        raise
                await asyncio.sleep(_AGAIN)
                if self._client is not None:
                    await self._client.force_metadata_update()

    async def _connected(self) -> Any:
        if self._client is None:
            client = AIOKafkaClient(**aiokafka_options(self._config))
            try:
                await client.bootstrap()
                # The bootstrap learns of brokers only; without this the leaders are known after a pause.
                await client.set_topics(self._topics)
            except KafkaError as error:
                await client.close()
                raise TimeoutError(f"no broker answers: {error!r}") from error
            except BaseException:
                await client.close()
                raise
            self._client = client
        return self._client


def _with_fate(answer: RawAnswer) -> Iterator[tuple[RawBatch, bool]]:
    """Each batch of an answer, and True if its records may be read: it is no marker, and was not aborted."""
    aborting, waiting = set[int](), deque(sorted(answer.aborted, key=itemgetter(1)))
    for batch in answer.batches:
        while waiting and waiting[0][1] <= batch.last:
            aborting.add(waiting.popleft()[0])
        yield batch, not batch.is_control and not (batch.is_transactional and batch.producer in aborting)
        if batch.is_control and batch.is_abort:
            aborting.discard(batch.producer)
