"""A broker for the commands, and `saga` as a function."""

from typing import Any

import pytest
from click.testing import CliRunner, Result

import tables
from harness.scene import clear
from saga_app.commands import main
from saga_app.kafka import topic_admin
from saga_app.local.broker import Broker
from saga_app.settings import Settings
from tests.commands.dead_letter_topic import PARTITIONS, DeadLetterTopic, Saga


@pytest.fixture(scope="module")
def own_kafka(kafka: Broker) -> Broker:
    """The shared broker without any topic: the inboxes' names are fixed, and here they have fewer partitions."""
    clear(kafka.address)
    return kafka


@pytest.fixture
def saga(own_kafka: Broker, monkeypatch: pytest.MonkeyPatch) -> Saga:
    """Runs a command on that broker, where all topics are."""
    for name in ("SAGA_APP_ID", "SAGA_WEB_URL", "SAGA_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SAGA_BROKER", own_kafka.address)
    monkeypatch.setenv("SAGA_PARTITIONS", str(PARTITIONS))
    monkeypatch.setenv("SAGA_WEB_PORT", "6066")
    settings = Settings.read()
    topic_admin.ensure(settings, tables.wanted_topics(settings))

    def run(*arguments: str, **options: Any) -> Result:
        return CliRunner().invoke(main, list(arguments), **options)

    return run


@pytest.fixture
def dead_letter_topic(saga: Saga) -> DeadLetterTopic:
    """The same broker's dead letters: none yet."""
    return DeadLetterTopic(Settings.read())
