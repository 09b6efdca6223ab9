"""Before anything subscribes, the topics exist with their own settings, or the worker says why not and ends.

Answers faust.md f: stock Faust declares changelogs only, skips those that exist without looking at their partitions, and
leaves its other topics to the broker (see also `test_tables`); and c6 (rh#325, rh#336, rh#358: partitions that do not
match are found at the first write).
"""

from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from saga_app.durable.fatal import Exit
from saga_app.durable.overrides import app as override
from saga_app.durable.topic_admin import BrokerUnreachable, TopicsWrong
from saga_app.local.broker import Broker
from tests.overrides.parts import in_a_loop, make_topics, our_app, stock_app, unique


class Ended(Exception):
    """In place of the end of the process."""


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[Exit]:
    """The exit codes; and no watchdog is started."""
    codes: list[Exit] = []

    def die(code: Exit, text: str) -> None:
        codes.append(code)
        raise Ended(text)

    monkeypatch.setattr(override, "die", die)
    monkeypatch.setattr(override.Watchdog, "start", lambda watchdog: None)
    return codes


@pytest.mark.parametrize(
    ("error", "code"),
    [(TopicsWrong("t"), Exit.TOPICS_WRONG), (BrokerUnreachable("b"), Exit.BROKER_UNREACHABLE)],
)
@in_a_loop
async def test_a_worker_that_cannot_have_its_topics_ends_before_it_subscribes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended: list[Exit], error: Exception, code: Exit
) -> None:
    def ensure(*args: Any) -> None:
        raise error

    monkeypatch.setattr("saga_app.durable.topic_admin.ensure", ensure)
    with pytest.raises(Ended):
        await our_app(tmp_path).on_first_start()
    assert ended == [code]


@pytest.mark.live
@in_a_loop
async def test_a_changelog_with_other_partitions_is_found_at_the_start(
    kafka: Broker, tmp_path: Path, ended: list[Exit], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = our_app(tmp_path, kafka.address, unique("saga"), partitions=2)
    changelog = f"{app.settings.app_id}-orders-changelog"
    make_topics(kafka.address, changelog, partitions=3)
    # Other tests use the real inboxes.
    monkeypatch.setattr(
        override, "wanted", lambda *args: [each for each in wanted(*args) if "changelog" in each.name]
    )
    with pytest.raises(Ended, match=f"{changelog} has 3 partitions, not 2"):
        await app.on_first_start()
    assert ended == [Exit.TOPICS_WRONG]
    admin = AdminClient({"bootstrap.servers": kafka.address, "log_level": 0})
    assert f"{app.settings.app_id}-stock-changelog" not in admin.list_topics(timeout=10).topics


wanted = override.wanted


@in_a_loop
async def test_stock_faust_takes_a_topic_that_exists_as_it_is(tmp_path: Path) -> None:
    """`TopicAlreadyExists` (error 36) is all that it is told, and that is as good as created."""
    transport = stock_app(tmp_path).transport
    asked: list[Any] = []

    class Response:
        API_VERSION = 1
        topic_errors = (("stock-orders-changelog", 36, "exists, with 3 partitions"),)

    class Client:
        cluster = None

        async def ready(self, node: int) -> bool:
            return True

        async def send(self, node: int, request: Any, **options: Any) -> Response:
            asked.append(request)
            return Response()

        async def force_metadata_update(self) -> None: ...

    async def controller(*args: Any) -> int:
        return 0

    transport._get_controller_node = controller
    await transport._create_topic(
        transport.app.producer, Client(), "stock-orders-changelog", 2, 1, config={}, timeout=1000
    )
    assert len(asked) == 1
