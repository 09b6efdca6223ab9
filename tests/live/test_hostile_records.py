"""Records that would stop or drown a worker: dead letters, and the orders beside them go on."""

from collections import Counter
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from harness.orders import orders, supplies
from harness.scene import Scene
from saga_app import topics
from saga_app.dead_letters.letter import Letter
from saga_app.dead_letters.reader import Letterbox
from saga_app.engine.exits import Exit
from saga_app.orderdb.copy.process import follow
from saga_app.settings import Settings
from tests.live.commands import saga

MEBIBYTE = 1024 * 1024
#: librdkafka refuses to unpack more than 100 MB of zstd, and worker, audit and copy used to end at the record.
BOMBS = {"zstd": 110_000_000, "gzip": 20 * MEBIBYTE, "lz4": 20 * MEBIBYTE, "snappy": 12 * MEBIBYTE}
#: Bytes of memory that a worker may take more than before the records came; it used to be 530 MB for the headers alone.
MOST_MORE = 250 * MEBIBYTE


def sent(scene: Scene, codec: str, topic: str, *values: bytes, headers: int = 0) -> list[str | None]:
    """Sends these records, each in a batch of its own, to partition 0; the broker's error for each."""
    options = {"compression.codec": codec, "message.max.bytes": 200_000_000, "linger.ms": 0, "log_level": 3}
    producer = Producer({"bootstrap.servers": scene.broker, **options})
    errors: list[str | None] = []

    def told(error: KafkaError | None, message: object) -> None:
        errors.append(None if error is None else error.name())

    for value in values:
        producer.produce(topic, value, b"k", partition=0, headers=[("", b"")] * headers, on_delivery=told)
        producer.flush(60)
    return errors


def set_compression(scene: Scene, topic: str, value: str) -> None:
    changed = ConfigResource(
        ConfigResource.Type.TOPIC,
        topic,
        incremental_configs=[
            ConfigEntry("compression.type", value, incremental_operation=AlterConfigOpType.SET)
        ],
    )
    admin = AdminClient({"bootstrap.servers": scene.broker, "log_level": 3})
    for future in admin.incremental_alter_configs([changed]).values():
        future.result(20)


def memory(pid: int) -> int:
    """Bytes of memory that a process has had at most."""
    (line,) = [each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmHWM" in each]
    return int(line.split()[1]) * 1024


def letters(scene: Scene) -> list[Letter]:
    return list(Letterbox(Settings(broker=scene.broker, app_id=scene.app_id)).letters())


@pytest.mark.slow("two lives of a worker, and four commands; one reader on a broker is quick")
def test_records_that_unpack_to_too_much_are_stepped_over_by_worker_audit_history_and_copy(
    scene: Scene, tmp_path: Path
) -> None:
    """They are from before the topic took none; now the broker refuses them, and a worker wants it so."""
    assert sent(scene, "zstd", topics.PAYMENT, b"1" * BOMBS["zstd"]) == ["MSG_SIZE_TOO_LARGE"]
    set_compression(scene, topics.PAYMENT, "producer")
    bombs = [sent(scene, codec, topics.PAYMENT, b"1" * size)[0] for codec, size in BOMBS.items()]
    assert bombs == [None] * len(BOMBS)
    worker = scene.worker("w1")
    assert worker.start().wait_for_end(60) == Exit.TOPICS_WRONG
    assert "payment_events: compression.type is producer, not uncompressed" in worker.last_words()
    assert saga(scene, "topics", "--alter").code == 0

    scene.shop.send(supplies())
    worker.start().ready()
    before = memory(worker.pid)
    scene.feed(orders(40), until_ended=40)
    heavy = b'{"order_id":"heavy","amount":5}'
    assert sent(scene, "none", topics.SHIPPING, *[heavy] * 12, headers=99_999) == [None] * 12
    digits = b"4" * (MEBIBYTE - 1_000)
    assert sent(scene, "zstd", topics.INVENTORY, *[digits] * 6) == [None] * 6
    scene.feed(orders(40, seed=2, prefix="later"), until_ended=40)
    scene.log.wait_until_quiet()
    more = memory(worker.pid) - before
    found = letters(scene)
    print(f"{more / MEBIBYTE:.0f} MiB more; {sum(len(each.value or b'') for each in found)} bytes in letters")
    assert worker.alive and more < MOST_MORE
    assert Counter((each.id.topic, each.reason) for each in found) == {
        (topics.PAYMENT, "too_large"): len(BOMBS),
        (topics.SHIPPING, "too_large"): 12,
        (topics.INVENTORY, "unreadable"): 6,
    }
    of_bombs = {each.id.offset: each for each in found if each.id.topic == topics.PAYMENT}
    assert sorted(of_bombs) == [0, 1, 2, 3]
    assert all(each.value is None and each.key is None for each in of_bombs.values())
    assert "offset 0 to 0 are 3" in of_bombs[0].detail
    assert sum(len(each.value or b"") for each in found if each.id.topic == topics.INVENTORY) < 6 * 100
    worker.end()

    audit = saga(scene, "audit")
    assert audit.code == 0, audit
    assert "completed" in saga(scene, "history", "later-1").out
    database = tmp_path / "orders.db"
    settings = Settings(broker=scene.broker, app_id=scene.app_id, db_url=f"sqlite:///{database}")
    lines: list[str] = []
    assert follow(settings, lines.append, once=True) > 160, lines
