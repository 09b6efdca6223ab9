"""Committed offsets with the text that Kafka keeps beside each, its "metadata"; read and written with aiokafka.

confluent-kafka (2.16 at least) writes the NUL that ends a text in C too, and reads a text beyond its end.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, UnknownMemberIdError, for_code
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.structs import TopicPartition

from saga_app.core.numbers import Offset
from saga_app.kafka.messages import Place
from saga_app.kafka.offsets import TIMEOUT
from saga_app.settings import Settings

#: Offset and text.
Committed = Mapping[Place, tuple[Offset, str]]
#: Committed as text while changelogs are rebuilt.
REBUILDING: Final = "rebuilding"
#: The command that must run again: a worker that finds such a text does not start.
UNFINISHED: Final = {REBUILDING: "saga rebuild --from-inboxes"}
Answer = TypeVar("Answer")


class GroupHasMembers(Exception):
    """The group takes no commit by hand while workers are its members."""


def committed_texts(settings: Settings, places: Iterable[Place]) -> dict[Place, tuple[Offset, str]]:
    """The committed offset of each place and its text; 0 and nothing where there is none.

    `TimeoutError` if no broker answers for long.
    """
    asked = [TopicPartition(*place) for place in places]

    async def ask(client: AIOKafkaAdminClient) -> dict[Place, tuple[Offset, str]]:
        found = await client.list_consumer_group_offsets(settings.app_id, partitions=asked)
        return {
            (place.topic, place.partition): (Offset(max(0, each.offset)), each.metadata or "")
            for place, each in found.items()
        }

    return asyncio.run(_with_retries(settings, ask))


def commit_texts(settings: Settings, wanted: Committed) -> None:
    """Commits these offsets for a group without members. Raises `GroupHasMembers`, and `TimeoutError`."""
    of_topics: defaultdict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for (topic, partition), (offset, text) in wanted.items():
        of_topics[topic].append((partition, offset, text))
    request = OffsetCommitRequest(
        settings.app_id,
        OffsetCommitRequest.DEFAULT_GENERATION_ID,
        "",
        OffsetCommitRequest.DEFAULT_RETENTION_TIME,
        list(of_topics.items()),
    )

    async def ask(client: AIOKafkaAdminClient) -> None:
        coordinator = await client.find_coordinator(settings.app_id)
        answer = await client._send_request(request, coordinator)
        for _, partitions in answer.topics:
            for _, error in partitions:
                if error:
                    raise for_code(error)()

    try:
        asyncio.run(_with_retries(settings, ask))
    except UnknownMemberIdError as error:
        raise GroupHasMembers(f"the group {settings.app_id!r} has members") from error


async def _with_retries(
    settings: Settings, ask: Callable[[AIOKafkaAdminClient], Awaitable[Answer]]
) -> Answer:
    end = time.monotonic() + TIMEOUT
    while True:
        try:
            async with _client(settings) as client:
                return await ask(client)
        except UnknownMemberIdError:
            raise
        except (KafkaError, TimeoutError) as error:
            # The coordinator may be new, or move; a refusal stays one.
            if time.monotonic() > end or (isinstance(error, KafkaError) and not error.retriable):
                raise TimeoutError(f"the group {settings.app_id!r} cannot be asked: {error!r}") from error
        await asyncio.sleep(0.2)


@asynccontextmanager
async def _client(settings: Settings) -> AsyncIterator[Any]:
    client = AIOKafkaAdminClient(**settings.aiokafka, request_timeout_ms=10_000)
    try:
        await client.start()
        yield client
    finally:
        await client.close()
