"""Three brokers find each other, keep their ports and their data, and leave no process."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from saga_app.local.cluster import Cluster
from saga_app.local.errors import LocalKafkaError
from saga_app.local.process import until


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path / "kafka")
    yield cluster
    cluster.remove()


@pytest.mark.nightly("three brokers")
@pytest.mark.live
def test_what_three_brokers_have_outlives_one_of_them_and_a_restart(cluster: Cluster) -> None:
    address = cluster.start().wait().address
    assert cluster.has_address(address) and len(address.split(",")) == 3
    admin = AdminClient({"bootstrap.servers": address, "log_level": 0})
    admin.create_topics([NewTopic("kept", 1, 3)])["kept"].result(20)
    cluster.brokers[0].kill()
    client = Producer({"bootstrap.servers": address, "acks": "all", "log_level": 0})
    client.produce("kept", b"value")
    assert client.flush(30) == 0
    assert not cluster.brokers[0].answers() and cluster.brokers[1].answers()

    cluster.stop()
    assert [broker.pid for broker in cluster.brokers] == [None] * 3
    # Another program, with nothing but the folder.
    again = Cluster(cluster.folder).start().wait()
    assert again.address == address
    reader = Consumer({"bootstrap.servers": address, "group.id": "test", "log_level": 0})
    reader.assign([TopicPartition("kept", 0, 0)])
    found = reader.poll(30)
    reader.close()
    assert found is not None and found.value() == b"value"
    again.stop()
    assert until(lambda: not any(broker.answers() for broker in cluster.brokers), 5)


def test_a_folder_of_another_number_of_brokers_is_refused(tmp_path: Path) -> None:
    plan = {"cluster": "c", "ports": [20001, 20002, 20003], "controllers": [20004, 20005, 20006]}
    (tmp_path / "cluster.json").write_text(json.dumps(plan))
    with pytest.raises(LocalKafkaError, match="made with 3 brokers, not 5"):
        Cluster(tmp_path, 5)


def test_brokers_that_were_never_started_have_no_address(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    assert not cluster.has_address("")
    with pytest.raises(LocalKafkaError, match="call start"):
        cluster.address  # noqa: B018
    cluster.stop()
    assert list(tmp_path.iterdir()) == []
