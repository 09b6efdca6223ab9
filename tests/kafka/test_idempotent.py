"""The connections of the idempotent producer."""

import asyncio

import pytest
from aiokafka.conn import AIOKafkaConnection, CloseReason

from saga_app.kafka.idempotent import _cut

#: More than the kernel's buffers take.
MANY = 64 * 1024 * 1024


def test_what_a_connection_has_not_sent_when_it_is_closed_is_never_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A process that was paused would send it when it wakes, behind the worker that has its partitions then."""

    async def nothing(self: AIOKafkaConnection) -> None:
        """The peer is no broker."""

    monkeypatch.setattr(AIOKafkaConnection, "_do_version_lookup", nothing)

    async def run() -> int:
        may_read, arrived = asyncio.Event(), asyncio.get_running_loop().create_future()

        async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await may_read.wait()
            count = 0
            try:
                while part := await reader.read(1 << 20):
                    count += len(part)
            except ConnectionError:
                pass
            writer.close()
            arrived.set_result(count)

        async with await asyncio.start_server(peer, "127.0.0.1", 0) as server:
            connection = AIOKafkaConnection("127.0.0.1", server.sockets[0].getsockname()[1])
            await connection.connect()
            connection._writer.write(bytes(MANY))
            _cut(connection, CloseReason.SHUTDOWN)
            may_read.set()
            async with asyncio.timeout(20):
                return int(await arrived)

    assert asyncio.run(run()) < MANY
