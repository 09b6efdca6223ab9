"""Committed offsets with the note beside each, which Kafka calls metadata; read and written with aiokafka.

confluent-kafka (2.16 at least) writes the NUL that ends a text in C too, and reads a text beyond its end. And its
questions to a group's coordinator may end the process, see `consumer_group`.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, UnknownMemberIdError, for_code
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.structs import TopicPartition

from saga_app.core.numbers import Offset
from saga_app.kafka.messages import Place
from saga_app.kafka.offsets import TIMEOUT
from saga_app.settings import Settings

#: Offset and note.
Committed = Mapping[Place, tuple[Offset, str]]
Answer = TypeVar("Answer")


class GroupHasMembers(Exception):
    """The group takes no commit by hand while workers are its members."""


def committed_notes(settings: Settings, places: Iterable[Place]) -> dict[Place, tuple[Offset, str]]:
    """The committed offset of each place and its note; 0 and nothing where there is none.

    `TimeoutError` if no broker answers for long.
    """
    asked = [TopicPartition(*place) for place in places]

    async def ask(client: AIOKafkaAdminClient) -> dict[Place, tuple[Offset, str]]:
        found = await client.list_consumer_group_offsets(settings.app_id, partitions=asked)
        return {
            (place.topic, place.partition): (Offset(max(0, each.offset)), each.metadata or "")
            for place, each in found.items()
        }

    return asyncio.run(_with_retries(settings, settings.app_id, ask, TIMEOUT))


def commit_offsets(
    settings: Settings, wanted: Committed, group: str | None = None, seconds: float = TIMEOUT
) -> None:
    """Commits these offsets for a group without members, the workers' if no other is named.

    It ends within so many seconds. Raises `GroupHasMembers`, and `TimeoutError`.
    """
    group = group or settings.app_id
    of_topics: defaultdict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for (topic, partition), (offset, note) in wanted.items():
        of_topics[topic].append((partition, offset, note))
    request = OffsetCommitRequest(
        group,
        OffsetCommitRequest.DEFAULT_GENERATION_ID,
        "",
        OffsetCommitRequest.DEFAULT_RETENTION_TIME,
        list(of_topics.items()),
    )

    async def ask(client: AIOKafkaAdminClient) -> None:
        coordinator = await client.find_coordinator(group)
        answer = await client._send_request(request, coordinator)
        for _, partitions in answer.topics:
            for _, error in partitions:
                if error:
                    raise for_code(error)()

    asyncio.run(_with_retries(settings, group, ask, seconds))


async def _with_retries(
    settings: Settings, group: str, ask: Callable[[AIOKafkaAdminClient], Awaitable[Answer]], seconds: float
) -> Answer:
    last: Exception | None = None
    try:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    async with _client(settings) as client:
                        return await ask(client)
                except (KafkaError, TimeoutError) as error:
                    # The coordinator may be new, or move; a refusal stays one.
                    if isinstance(error, KafkaError) and not error.retriable:
                        raise
                    last = error
                await asyncio.sleep(0.2)
    except UnknownMemberIdError as error:
        raise GroupHasMembers(f"the group {group!r} has members") from error
    except (KafkaError, TimeoutError) as error:
        raise TimeoutError(f"the group {group!r} cannot be asked: {last or error!r}") from error


@asynccontextmanager
async def _client(settings: Settings) -> AsyncIterator[Any]:
    client = AIOKafkaAdminClient(**settings.aiokafka, request_timeout_ms=10_000)
    try:
        await client.start()
        yield client
    finally:
        await client.close()
