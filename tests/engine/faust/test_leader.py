"""The group's leader assigns partitions only when it knows the topics, also after the broker was away."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataResponse_v1

from saga_app.engine.faust.leader import keep_to, know_topics_first
from tests.engine.faust.parts import NO_BROKER, in_a_loop

TOPIC = "orders"


class Joined(NamedTuple):
    """The broker's answer to the member that becomes the leader."""

    group_protocol: str
    members: list[tuple[str, bytes]]
    API_VERSION: int = 2


JOINED = Joined("roundrobin", [("me", ConsumerProtocolMemberMetadata(0, [TOPIC], b"").encode())])


class GroupOfOne:
    """A coordinator that subscribed while the broker was away, and a broker that answers after some questions."""

    def __init__(self, coordinator: Any, client: Any, answers_after: int) -> None:
        self.coordinator = coordinator
        self.questions = 0
        self._client = client
        self._answers_after = answers_after
        client._topics = {TOPIC}
        client.force_metadata_update = self._ask

    async def assign(self) -> list[int]:
        """The partitions that the leader gives to its only member."""
        assignment = (await self.coordinator._perform_assignment(JOINED))["me"]
        return [partition for _, partitions in assignment.assignment for partition in partitions]

    async def _ask(self) -> bool:
        self.questions += 1
        if self.questions < self._answers_after:
            return False
        partitions = [(0, partition, 1, [1], [1]) for partition in range(2)]
        topics = [(0, TOPIC, False, partitions)]
        self._client.cluster.update_metadata(MetadataResponse_v1([(1, "127.0.0.1", 1, None)], 1, topics))
        return True


@asynccontextmanager
async def group(answers_after: int = 1) -> AsyncIterator[GroupOfOne]:
    client = AIOKafkaClient(bootstrap_servers=NO_BROKER)
    subscription = SubscriptionState()
    coordinator = GroupCoordinator(client, subscription, assignors=(RoundRobinPartitionAssignor,))
    # It would look for the broker.
    coordinator._coordination_task.cancel()
    subscription.subscribe({TOPIC})
    try:
        yield GroupOfOne(coordinator, client, answers_after)
    finally:
        await client.close()


@in_a_loop
async def test_stock_aiokafka_assigns_nothing_where_it_was_not_told_of_the_topics() -> None:
    """Nobody is asked again: the whole group is idle until the metadata is five minutes old."""
    async with group() as stock:
        assert await stock.assign() == []
        assert stock.questions == 0


@in_a_loop
async def test_our_leader_asks_until_it_knows_the_topics() -> None:
    async with group(answers_after=3) as ours:
        know_topics_first(ours.coordinator, 10)
        assert await ours.assign() == [0, 1]
        assert ours.questions == 3


@in_a_loop
async def test_a_leader_that_knows_the_topics_asks_nobody() -> None:
    async with group() as ours:
        know_topics_first(ours.coordinator, 10)
        await ours.assign()
        assert await ours.assign() == [0, 1]
        assert ours.questions == 1


@in_a_loop
async def test_a_broker_that_never_tells_is_an_error_that_the_watchdog_finds() -> None:
    async with group(answers_after=1_000) as ours:
        know_topics_first(ours.coordinator, 0.3)
        with pytest.raises(KafkaError, match="tells nothing of the topics orders"):
            await ours.assign()


@in_a_loop
async def test_our_leader_does_not_see_partitions_that_were_added() -> None:
    """Stock Faust assigns them, and no longer the same partitions of each topic to the same worker."""
    async with group() as ours:
        know_topics_first(ours.coordinator, 10)
        keep_to(ours.coordinator, 1)
        assert await ours.assign() == [0]
        assert ours.coordinator._client.cluster.partitions_for_topic("unknown") is None
