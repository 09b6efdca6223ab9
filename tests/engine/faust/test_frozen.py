"""A broker that is frozen, or whose network is cut, keeps its connections and answers nobody: others are asked soon.

Stock Faust waits for it as long as for the slowest rebalance, 70 s here, so that the group expires the worker's
session meanwhile; librdkafka waits 60 s, so that records are given up although their new leader is long there.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, SyncGroupRequest

from saga_app.engine.faust.consumer import SagaConsumerThread
from saga_app.settings import Settings
from saga_app.timeouts import PROFILES
from tests.engine.faust.parts import in_a_loop, our_app, stock_app

LOCAL = PROFILES["local"]


@asynccontextmanager
async def frozen() -> AsyncIterator[str]:
    """The address of a broker that takes connections and is silent."""
    open_: list[asyncio.StreamWriter] = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_.append(writer)
        await reader.read()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in open_:
            writer.close()


def consumer_of(app: Any) -> Any:
    """The aiokafka consumer that a worker would start, in this loop."""
    app.loop = asyncio.get_running_loop()
    thread = app.consumer._new_consumer_thread()
    return thread._create_worker_consumer(app.transport)


@in_a_loop
async def test_a_frozen_broker_is_left_after_the_time_for_an_answer(tmp_path: Path) -> None:
    async with frozen() as address, asyncio.timeout(LOCAL.answer + 5):
        consumer = consumer_of(our_app(tmp_path, address))
        with pytest.raises(KafkaConnectionError):
            await consumer._client.bootstrap()


@pytest.mark.parametrize(
    ("request_", "longest"),
    [
        (HeartbeatRequest("saga", 1, "m"), LOCAL.answer),
        (JoinGroupRequest("saga", 1, 1, "", None, "consumer", []), LOCAL.rebalance + 10),
        (SyncGroupRequest("saga", 1, "m", None, []), LOCAL.rebalance + 10),
    ],
)
def test_only_requests_answered_after_a_rebalance_are_waited_for_as_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request_: Any, longest: float
) -> None:
    waited: list[float] = []
    connection = SimpleNamespace(_request_timeout=LOCAL.answer)

    async def send(self: Any, node: int, request: Any, *, group: Any) -> None:
        waited.append(connection._request_timeout)

    async def ready(self: Any, node: int, *, group: Any) -> bool:
        return True

    @in_a_loop
    async def scenario() -> None:
        monkeypatch.setattr(AIOKafkaClient, "send", send)
        monkeypatch.setattr(AIOKafkaClient, "ready", ready)
        client = consumer_of(our_app(tmp_path))._client
        client._conns[7, ConnectionGroup.COORDINATION] = connection
        await client.send(7, request_, group=ConnectionGroup.COORDINATION)
        client._conns.clear()

    scenario()
    assert waited == [longest]
    assert connection._request_timeout == LOCAL.answer


@in_a_loop
async def test_stock_faust_waits_for_a_frozen_broker_for_longer_than_its_session(tmp_path: Path) -> None:
    app = stock_app(tmp_path)
    client = consumer_of(app)._client
    assert client._request_timeout_ms / 1000 > app.conf.broker_session_timeout
    assert not issubclass(type(app.consumer._new_consumer_thread()), SagaConsumerThread)


@pytest.mark.parametrize("timeouts", PROFILES.values())
def test_there_is_time_to_ask_another_broker_before_a_record_is_given_up(timeouts: Any) -> None:
    assert timeouts.answer < timeouts.delivery < timeouts.session
    assert timeouts.heartbeat + timeouts.answer <= timeouts.session - timeouts.delivery


def test_in_a_cluster_there_is_time_to_ask_three_times() -> None:
    assert 3 * PROFILES["cluster"].answer <= PROFILES["cluster"].delivery


def test_every_client_of_librdkafka_is_told() -> None:
    told = Settings(profile="cluster").kafka
    for name in ("socket.timeout.ms", "socket.connection.setup.timeout.ms", "api.version.request.timeout.ms"):
        assert told[name] == PROFILES["cluster"].answer * 1000
