"""Where partitions begin and end: an answer that is no offset is not taken for one."""

from collections.abc import Mapping
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import OFFSET_INVALID, KafkaException, TopicPartition

from saga_app.kafka import offsets


class Answering:
    """An admin client that answers with these offsets, one after the other."""

    def __init__(self, *answers: int) -> None:
        self.left = list(answers)

    def list_topics(self, timeout: float) -> None: ...

    def list_offsets(self, asked: Mapping[TopicPartition, Any], **options: Any) -> dict[TopicPartition, Any]:
        answers: dict[TopicPartition, Any] = {}
        for place in asked:
            answers[place] = Future()
            answers[place].set_result(SimpleNamespace(offset=self.left.pop(0)))
        return answers


def test_a_partition_without_a_leader_is_asked_again_and_has_not_lost_its_records() -> None:
    """A worker would take -1001 for the end of its changelog, and end."""
    admin: Any = Answering(OFFSET_INVALID, 34)
    assert offsets.ends(admin, [("changelog", 1)]) == {("changelog", 1): 34}


def test_a_partition_that_stays_without_a_leader_is_an_error() -> None:
    admin: Any = Answering(*[OFFSET_INVALID] * 9)
    with pytest.raises(KafkaException, match="Leader not available"):
        offsets.ends(admin, [("changelog", 1)], 0)
