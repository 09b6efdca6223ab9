"""Parts of these tests: our application and stock Faust's without a broker, records, topics, processes.

Every rule comes as a pair: it holds with our class, and the same scenario on stock Faust 0.15.3 shows the fault. A
test called `test_stock_faust_...` that fails is good news: upstream has repaired it, and an override may go.
"""

import asyncio
import functools
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import faust
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from faust.transport.drivers.aiokafka import Consumer as StockConsumer
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from saga_app.application import create_app
from saga_app.core.numbers import Generation
from saga_app.engine.faust.app import SagaApp
from saga_app.engine.faust.consumer import SagaConsumer
from saga_app.engine.round import Note
from saga_app.settings import Settings

NO_BROKER = "127.0.0.1:1"
ROOT = Path(__file__).parent.parent.parent.parent


def in_a_loop(scenario: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Runs an async test in a loop of its own, for 20 s at most."""

    @functools.wraps(scenario)
    def test(**given: Any) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(20):
                await scenario(**given)

        asyncio.run(bounded())

    return test


def our_app(folder: Path, broker: str = NO_BROKER, app_id: str = "saga", partitions: int = 1) -> SagaApp:
    """Our application, not started."""
    settings = Settings(
        broker=broker, app_id=app_id, partitions_text=str(partitions), data_dir_text=str(folder / "ours")
    )
    app = create_app(settings)
    app.finalize()
    return app


def stock_app(folder: Path, **options: Any) -> Any:
    """Faust as it comes, not started."""
    app = faust.App("stock", broker=f"kafka://{NO_BROKER}", datadir=str(folder / "stock"), **options)
    app.finalize()
    return app


class Commits(list[dict[TP, int]]):
    """Stands for the group coordinator: keeps committed offsets; answers as it is told."""

    def __init__(self, consumer: StockConsumer, places: Iterable[TP]) -> None:
        super().__init__()
        self.accepts = True
        self.answer = asyncio.Event()
        self.answer.set()
        self.asked = asyncio.Event()
        owned = set(places)
        consumer.assignment = lambda: set(owned)
        consumer._commit = self._commit

    async def _commit(self, offsets: dict[TP, int]) -> bool:
        self.append(dict(offsets))
        accepted = self.accepts
        self.asked.set()
        await self.answer.wait()
        return accepted


def our_consumer(app: SagaApp, *places: TP) -> tuple[SagaConsumer, Commits]:
    """Our consumer with an engine that reads nothing and owns these partitions."""
    consumer = app.consumer
    app.engine.reader = Resting()  # type: ignore[assignment]
    app.engine.clock = Resting()  # type: ignore[assignment]
    app.engine.retention = Resting()  # type: ignore[assignment]
    app.engine.rounds = {topic: Undecided() for topic in app.engine.buffers}  # type: ignore[misc]
    consumer.learn = _nothing_committed
    return consumer, Commits(consumer, places)


async def _nothing_committed() -> None:
    """The group has no commits."""


class Undecided:
    """Rounds that decide nothing."""

    def __init__(self) -> None:
        self.notes: list[Note] = []


class Resting:
    """A clock that never sends, a reader that never reads."""

    def start(self, generation: Generation) -> None: ...

    def unassign(self) -> None: ...

    def stop(self) -> None: ...

    async def rested(self) -> None: ...


def stock_consumer(app: Any, *places: TP) -> tuple[StockConsumer, Commits]:
    """Faust's consumer, with acknowledgement enabled for these partitions."""
    app.topics._acking_topics.update(place.topic for place in places)
    return app.consumer, Commits(app.consumer, places)


def message(place: TP, offset: int, value: Any = b"{}", generation: int = 0) -> ConsumerMessage:
    """A record as Faust carries it."""
    return ConsumerMessage(
        place.topic,
        place.partition,
        offset,
        0.0,
        0,
        [],
        b"key",
        value,
        None,
        tp=place,
        generation_id=generation,
    )


def unguarded(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method that Faust calls, without the end of the process at a `Fatal`: that comes out of it."""
    return functools.partial(method.__wrapped__, method.__self__)  # type: ignore[attr-defined]


async def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Returns when the condition holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


def wait_until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Returns when the condition holds; for tests without a loop."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"did not happen within {seconds} s"
        time.sleep(0.005)


def unique(name: str) -> str:
    """A name that no other test uses."""
    return f"{name}-{uuid.uuid4().hex[:8]}"


def make_topics(address: str, *names: str, partitions: int = 1, config: dict[str, str] | None = None) -> None:
    """Creates topics and waits until the broker knows them."""
    admin = AdminClient({"bootstrap.servers": address, "log_level": 0})
    made = admin.create_topics([NewTopic(name, partitions, 1, config=config or {}) for name in names])
    for future in made.values():
        future.result(20)


def script(text: str, *arguments: object) -> subprocess.Popen[str]:
    """A Python process of its own that runs this text in the project's folder."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(text), *map(str, arguments)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": "/tmp", "MALLOC_ARENA_MAX": "2"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def write(address: str, topic: str, values: Iterable[bytes | None], **options: Any) -> list[int]:
    """Writes these values into partition 0; their offsets."""
    keys, headers = iter(options.pop("keys", ())), options.pop("headers", None)
    offsets: list[int] = []
    producer = Producer({"bootstrap.servers": address, "log_level": 0, "linger.ms": 5, **options})
    for value in values:
        producer.produce(
            topic,
            value,
            next(keys, None),
            partition=0,
            headers=headers,
            on_delivery=lambda error, record: offsets.append(record.offset() if error is None else -1),
        )
    assert producer.flush(20) == 0
    assert -1 not in offsets
    return offsets


def everything(address: str, topic: str, partitions: int = 1) -> list[Any]:
    """All records of a topic, as they are now, partition by partition."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "tests", "log_level": 0})
    found: list[Any] = []
    try:
        for partition in range(partitions):
            at, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
            consumer.assign([TopicPartition(topic, partition, at)])
            while at < end:
                for record in consumer.consume(5000, 1.0):
                    assert record.error() is None
                    found.append(record)
                    at = record.offset() + 1
    finally:
        consumer.close()
    return found
