"""Dead letters on a real broker, as workers write them."""

from collections.abc import Callable
from itertools import count
from typing import Any

from click.testing import Result
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from harness.log import everything
from saga_app import topics
from saga_app.core.errors import Fault, Rejected
from saga_app.core.numbers import Offset
from saga_app.dead_letters.format import LetterId, dead_letter
from saga_app.kafka.messages import Header, Message, Outgoing
from saga_app.kafka.offsets import ends
from saga_app.kafka.sender import Sender
from saga_app.settings import Settings

#: Of each topic on the broker of these tests.
PARTITIONS = 4
#: Runs a `saga` command on it.
Saga = Callable[..., Result]
_offsets = count(1_000)


class DeadLetterTopic:
    """The topic `dead_letters`, emptied."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._sender = Sender(settings)
        admin = AdminClient(settings.kafka)
        places = [(topics.DEAD_LETTERS, each) for each in range(settings.partitions)]
        gone = [TopicPartition(*place, offset) for place, offset in ends(admin, places).items()]
        for future in admin.delete_records(gone).values():
            future.result()

    def put(
        self,
        value: bytes | None,
        reason: str = Fault.INVALID,
        detail: str = "amount: Field required",
        topic: str = topics.CHECKOUT,
        partition: int = 0,
        key: bytes | None = b"k",
        headers: tuple[Header, ...] = (),
        time: int = 1_700_000_000_000,
    ) -> LetterId:
        """One dead letter; its id."""
        message = Message(Offset(next(_offsets)), time, key, value, headers)
        rejection = Rejected(reason, detail)  # type: ignore[arg-type]
        self.post(dead_letter(topic, partition, message, rejection))
        return LetterId(topic, partition, message.offset)

    def post(self, *records: Outgoing) -> None:
        """Records just as they are."""
        self._sender.post(records)

    def all(self, topic: str = topics.DEAD_LETTERS) -> list[Any]:
        """Every message of a topic."""
        return everything(self.settings.broker, topic, self.settings.partitions)
