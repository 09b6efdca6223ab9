"""The questions about a consumer group go ways on which librdkafka cannot end the process."""

import ast
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

import saga_app
from saga_app.kafka.consumer_group import committed_of

#: The requests of librdkafka's admin client to a group's coordinator (docs/reference/faust.md, k11).
FATAL = {
    "alter_consumer_group_offsets",
    "delete_consumer_groups",
    "describe_consumer_groups",
    "list_consumer_group_offsets",
}
#: aiokafka's client has a method of the same name.
WITH_AIOKAFKA = "kafka/commit_notes.py"


def test_nobody_asks_a_groups_coordinator_through_librdkafkas_admin_client() -> None:
    folder = Path(saga_app.__file__).parent
    found = {
        f"{path.relative_to(folder)}:{node.lineno}"
        for path in folder.rglob("*.py")
        if path != folder / WITH_AIOKAFKA
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in FATAL
    }
    assert not found


class MovingCoordinator:
    """A group's consumer whose coordinator is loading when it is asked first."""

    def __init__(self) -> None:
        self.asked = 0

    def committed(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        self.asked += 1
        if self.asked == 1:
            raise KafkaException(KafkaError(KafkaError.NOT_COORDINATOR))
        return [TopicPartition(each.topic, each.partition, 7) for each in places]


def test_committed_offsets_are_asked_for_again_while_the_coordinator_moves() -> None:
    group: Any = MovingCoordinator()
    assert committed_of(group, [("inbox", 0)], 5) == {("inbox", 0): 7}
    assert group.asked == 2
