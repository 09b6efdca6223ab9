"""The client that reads batches as the broker keeps them."""

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from saga_app.kafka import raw
from saga_app.kafka.raw import RawClient
from saga_app.local.broker import Broker


@pytest.mark.live
def test_the_leaders_are_known_with_the_first_question(
    kafka: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An audit opens some fifty clients: a pause in each would be most of its time."""
    config = {"bootstrap.servers": kafka.address}
    admin = AdminClient(config)
    admin.create_topics([NewTopic("raw-client", 1, 1)])["raw-client"].result(30)
    producer = Producer(config)
    producer.produce("raw-client", b"value", partition=0)
    producer.flush(10)
    monkeypatch.setattr(raw, "_AGAIN", 3600.0)
    with RawClient(config, ["raw-client"]) as client:
        assert [batch.first for batch in client.batches(("raw-client", 0), 0)] == [0]
