"""Before anything subscribes, the topics exist with their own settings, or the worker says why not and ends.

Answers `docs/reference/faust.md#f1`: stock Faust declares changelogs only, skips those that exist without looking at
their partitions, and leaves its other topics to the broker (see also `test_tables`). And `docs/reference/faust.md#c6`
(rh#325, rh#336, rh#358): partitions that do not match are found at the first write.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import KafkaConnectionError
from confluent_kafka.admin import AdminClient

from saga_app import topics
from saga_app.engine.exits import Exit, Fatal
from saga_app.engine.faust import app as override
from saga_app.kafka.topic_admin import BrokerUnreachable, TopicsWrong
from saga_app.local.broker import Broker
from tests.engine.faust.parts import NO_BROKER, in_a_loop, make_topics, our_app, stock_app, unguarded, unique


@pytest.mark.parametrize(
    ("error", "code"),
    [(TopicsWrong("t"), Exit.TOPICS_WRONG), (BrokerUnreachable("b"), Exit.BROKER_UNREACHABLE)],
)
@in_a_loop
async def test_a_worker_that_cannot_have_its_topics_ends_before_it_subscribes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, code: Exit
) -> None:
    def ensure(*args: Any) -> None:
        raise error

    monkeypatch.setattr("saga_app.kafka.topic_admin.ensure", ensure)
    app = our_app(tmp_path)
    with pytest.raises(Fatal) as ended:
        await unguarded(app.on_first_start)()
    assert ended.value.exit is code
    assert app.watchdog is None


@in_a_loop
async def test_a_worker_whose_broker_goes_away_while_it_starts_says_so(tmp_path: Path) -> None:
    app = our_app(tmp_path)
    for starts in (app.producer, app.consumer._thread):
        with pytest.raises(Fatal, match=NO_BROKER) as ended:
            await unguarded(starts.on_start)()
        assert ended.value.exit is Exit.BROKER_UNREACHABLE
    await app.producer._producer.stop()
    await app.consumer._thread._consumer.stop()


@in_a_loop
async def test_a_command_that_is_no_worker_has_the_error_of_its_broker(tmp_path: Path) -> None:
    app = our_app(tmp_path)
    app.producer_only = True
    with pytest.raises(KafkaConnectionError):
        await app.producer.on_start()
    await app.producer._producer.stop()


@pytest.mark.live
@in_a_loop
async def test_a_changelog_with_other_partitions_is_found_at_the_start(
    kafka: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = our_app(tmp_path, kafka.address, unique("saga"), partitions=2)
    changelog = f"{app.settings.app_id}-orders-changelog"
    make_topics(kafka.address, changelog, partitions=3)
    # Other tests use the real inboxes.
    monkeypatch.setattr(
        override, "wanted", lambda *args: [each for each in topics.wanted(*args) if "changelog" in each.name]
    )
    with pytest.raises(Fatal, match=f"{changelog}: 3 partitions, not 2") as ended:
        await unguarded(app.on_first_start)()
    assert ended.value.exit is Exit.TOPICS_WRONG
    admin = AdminClient({"bootstrap.servers": kafka.address, "log_level": 0})
    assert f"{app.settings.app_id}-stock-changelog" not in admin.list_topics(timeout=10).topics


@in_a_loop
async def test_stock_faust_takes_a_topic_that_exists_as_it_is(tmp_path: Path) -> None:
    producer = stock_app(tmp_path).producer
    cluster = ClusterMetadata()
    cluster._partitions["stock-orders-changelog"] = {0: None, 1: None, 2: None}
    # It has no way to ask the broker anything, and needs none: the name is enough.
    client = SimpleNamespace(cluster=cluster, force_metadata_update=_nothing)
    producer._producer = SimpleNamespace(client=client)
    await producer.create_topic("stock-orders-changelog", 2, 1)


async def _nothing() -> None: ...
