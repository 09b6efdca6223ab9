"""An idempotent producer in the loop of its caller: one request to each leader holds a batch for each partition.

librdkafka sends a request for each partition (librdkafka#1700), from a thread of its own. aiokafka's producer goes on
for ever with batches that it has begun, and nobody can look at the clock directly before it writes. So this one has
aiokafka's client, with its connections, and is a producer itself; `docs/decisions/0032-the-log-in-the-main-loop.md`.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import chain, repeat
from typing import Any, Final

from aiokafka.client import AIOKafkaClient
from aiokafka.conn import CloseReason
from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.errors import KafkaError as ClientError
from aiokafka.protocol.transaction import InitProducerIdRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import TopicPartition
from confluent_kafka import KafkaError

from saga_app.core.numbers import Offset
from saga_app.kafka.messages import Header, Place
from saga_app.kafka.produce import BatchResult, ProduceRequest
from saga_app.security import aiokafka_options

#: Bytes of a batch; a larger record is one by itself. The inboxes take batches of 1 MiB.
MOST_IN_BATCH: Final = 900 * 1024
#: Milliseconds until a connection without an answer is given up, unless the configuration says so.
_ANSWER: Final = 3_000
#: Seconds from one try to the next.
_AGAIN: Final = 0.1
#: Sequence numbers are as many.
_SEQUENCES: Final = 2**31
#: Errors that pass by themselves, or with another leader.
_PASSING: Final = frozenset(
    {
        KafkaError.INVALID_MSG,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        KafkaError.KAFKA_STORAGE_ERROR,
    }
)


class BatchRefused(Exception):
    """The broker did not take a batch, and will not."""

    def __init__(self, topic: str, error: KafkaError) -> None:
        super().__init__(f"{topic}: {error}")
        self.topic = topic
        self.error = error


class RecordBatch:
    """Records of one partition, which the broker takes all, or none of them."""

    def __init__(self) -> None:
        self.count = 0
        self._builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, 0, MOST_IN_BATCH)
        #: Once it has its sequence numbers it never changes: a second try must be the same bytes.
        self._data: bytes | None = None

    def add(self, time: int, key: bytes | None, value: bytes | None, headers: Sequence[Header]) -> bool:
        """False if the batch is full; `time` is in milliseconds."""
        if self._builder.append(self.count, time, key, value, list(headers)) is None:
            return False
        self.count += 1
        return True

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self._data) if self._data is not None else int(self._builder.size())

    def data(self, identity: tuple[int, int], sequences: defaultdict[Place, int], place: Place) -> bytes:
        """The bytes to send; the first time, they take the next sequence numbers of the place."""
        if self._data is None:
            self._builder.set_producer_state(*identity, sequences[place])
            sequences[place] = (sequences[place] + self.count) % _SEQUENCES
            self._data = self._builder.build()
        return self._data


class IdempotentProducer:
    """Writes batches, each once however often it is sent; one call at a time, and no more after `close`."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        """`config` is that of librdkafka's clients."""
        milliseconds = config.get("socket.timeout.ms", _ANSWER)
        self._options = aiokafka_options(config) | {"request_timeout_ms": milliseconds}
        self._answer = milliseconds / 1000
        self._client: Any = None
        self._identity: tuple[int, int] | None = None
        self._sequences: defaultdict[Place, int] = defaultdict(int)
        self._topics: set[str] = set()
        self._closing: set[asyncio.Task[None]] = set()
        #: Why the last try did not succeed.
        self.trouble = ""

    async def write(
        self, batches: Mapping[Place, RecordBatch], before: Callable[[], None]
    ) -> dict[Place, Offset | None]:
        """Sends the batches until all are taken; the first offset of each, None where the broker does not know it.

        `before` is called directly before each time that something is sent, and ends the call by raising.
        `BatchRefused` if the broker does not want one. The caller bounds the time.
        """
        found: dict[Place, Offset | None] = {}
        self.trouble = "no broker answers"
        try:
            while left := {place: batch for place, batch in batches.items() if place not in found}:
                leaders = await self._leaders(left)
                before()
                asked = [
                    self._ask(connection, {place: left[place] for place in places})
                    for connection, places in leaders.items()
                ]
                for results in [await asked[0]] if len(asked) == 1 else await asyncio.gather(*asked):
                    for (topic, partition), result in results.items():
                        if self._is_taken(topic, result):
                            found[topic, partition] = None if result.first < 0 else result.first
                if len(found) < len(batches):
                    await asyncio.sleep(_AGAIN)
                    await self._client.force_metadata_update()
        except BaseException:
            # A batch whose fate is unknown may have used its numbers or not: who goes on with them may lose one.
            self._begin_anew()
            raise
        return found

    async def close(self) -> None:
        """Gives up the connections, and all that is on its way."""
        self._begin_anew()
        if self._closing:
            await asyncio.wait(self._closing, timeout=2)

    def _is_taken(self, topic: str, result: BatchResult) -> bool:
        if result.error in (KafkaError.NO_ERROR, KafkaError.DUPLICATE_SEQUENCE_NUMBER):
            return True
        error = KafkaError(result.error)
        if result.error not in _PASSING:
            raise BatchRefused(topic, error)
        self.trouble = f"{topic}: {error.str()}"
        return False

    def _ask(
        self, connection: Any, batches: Mapping[Place, RecordBatch]
    ) -> Awaitable[Mapping[Place, BatchResult]]:
        """Sends one request, at once; the answer is empty where the connection breaks."""
        assert self._identity is not None
        data = {place: batch.data(self._identity, self._sequences, place) for place, batch in batches.items()}
        try:
            answer = connection.send(ProduceRequest(data, self._answer))
        except IncompatibleBrokerVersion:
            raise
        except ClientError as error:
            answer = _failed(error)
        return self._answered(connection, answer)

    async def _answered(
        self, connection: Any, answer: Awaitable[Mapping[Place, BatchResult]]
    ) -> Mapping[Place, BatchResult]:
        try:
            return await answer
        except TimeoutError:
            _cut(connection, CloseReason.CONNECTION_TIMEOUT)
            self.trouble = f"{connection.host}:{connection.port} does not answer"
        except ClientError as error:
            self.trouble = str(error)
        return {}

    async def _leaders(self, places: Iterable[Place]) -> dict[Any, list[Place]]:
        """The connections to the leaders of these partitions; all are up when this returns."""
        for pause in chain((0.0,), repeat(_AGAIN)):
            if await self._is_known():
                found: defaultdict[Any, list[Place]] = defaultdict(list)
                for place in places:
                    found[self._client.cluster.leader_for_partition(TopicPartition(*place))].append(place)
                if not found.keys() & {None, -1}:
                    # Private, as are `_conns` and `_writer` below, and the form of a request.
                    connections = {await self._client._get_conn(node): each for node, each in found.items()}
                    if all(each is not None and each.connected() for each in connections):
                        return connections
                    self.trouble = "a leader cannot be reached"
                await self._look_for([*found[None], *found[-1]])
            await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    async def _look_for(self, places: Sequence[Place]) -> None:
        """Asks for the leaders again; `BatchRefused` where there can be none."""
        wanted = {topic for topic, _ in places}
        if not wanted <= self._topics:
            self._topics |= wanted
            self._client.set_topics(self._topics)
        await self._client.force_metadata_update()
        cluster = self._client.cluster
        for topic, partition in places:
            if topic in cluster.unauthorized_topics:
                raise BatchRefused(topic, KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
            there = cluster.partitions_for_topic(topic)
            if there and partition not in there:
                raise BatchRefused(topic, KafkaError(KafkaError._UNKNOWN_PARTITION))
            self.trouble = f"{topic}[{partition}] has no leader"

    async def _is_known(self) -> bool:
        """True if a broker has answered, and this producer has its id."""
        if self._client is None:
            self._client = AIOKafkaClient(**self._options)
        try:
            if not self._client.cluster.brokers():
                await self._client.bootstrap()
            if self._identity is None:
                node = self._client.get_random_node()
                request = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=0)
                answer = await self._client.send(node, request)
                if not self._is_taken("a producer id", BatchResult(answer.error_code, Offset(0))):
                    return False
                self._identity = answer.producer_id, answer.producer_epoch
        except IncompatibleBrokerVersion:
            raise
        except ClientError as error:
            self.trouble = str(error)
            return False
        return True

    def _begin_anew(self) -> None:
        """The next call connects as another producer."""
        client, self._client = self._client, None
        self._identity = None
        self._sequences.clear()
        self._topics = set()
        if client is not None:
            for connection in client._conns.values():
                _cut(connection, CloseReason.SHUTDOWN)
            # A broker that does not answer may take long to take leave.
            task = asyncio.create_task(client.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


def _cut(connection: Any, reason: CloseReason) -> None:
    """Closes a connection and drops what is not sent yet: a process that was paused would send it when it wakes."""
    writer = connection._writer
    connection.close(reason=reason)
    if writer is not None:
        writer.transport.abort()


async def _failed(error: ClientError) -> Mapping[Place, BatchResult]:
    raise error
