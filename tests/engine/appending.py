"""Appends of one generation, under a lease that holds, and answers of the broker that are changed on their way."""

import functools
from collections.abc import Awaitable, Callable, Mapping
from io import BytesIO
from itertools import chain, repeat
from typing import Any

import pytest

from saga_app.core.numbers import Generation
from saga_app.engine.lease import Lease
from saga_app.engine.log import KafkaLog
from saga_app.kafka.messages import Place
from saga_app.kafka.produce import BatchResult, ProduceResponse
from tests.engine.faust import parts
from tests.support.assigned import holding

GENERATION = Generation(3)


def held() -> Lease:
    """A lease that holds."""
    lease = Lease(8, 4, holding(GENERATION))
    lease.follow(lambda: GENERATION)
    lease.renew(GENERATION, float("inf"))
    return lease


def in_a_loop(scenario: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """As everywhere; the log is closed before the loop is."""

    @functools.wraps(scenario)
    async def closing(**given: Any) -> None:
        try:
            await scenario(**given)
        finally:
            if "log" in given:
                await given["log"].close()

    return parts.in_a_loop(closing)


def log_at(address: str, lease: Lease | None = None) -> KafkaLog:
    return KafkaLog({"bootstrap.servers": address}, 4, held() if lease is None else lease, 2)


class Answers:
    """Changes what the broker answers to the next ProduceRequests; None leaves an answer as it is."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, *changes: Callable[[BatchResult], BatchResult] | None
    ) -> None:
        self.left = chain(changes, repeat(None))
        self.seen = 0
        decode = ProduceResponse.decode

        def changed(data: BytesIO) -> Mapping[Place, BatchResult]:
            self.seen += 1
            change = next(self.left)
            return {place: change(each) if change else each for place, each in decode(data).items()}

        monkeypatch.setattr(ProduceResponse, "decode", staticmethod(changed))
