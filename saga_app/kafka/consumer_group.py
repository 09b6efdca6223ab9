"""The consumer group of the workers: its members, its committed offsets and its lag.

No request here is one that librdkafka's admin client sends to a group's coordinator: when the connection breaks in the
middle of such a request, librdkafka 2.16 ends the whole process by an assertion (librdkafka#4605, librdkafka#5397).
"""

import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from saga_app.core.numbers import Offset
from saga_app.kafka import offsets
from saga_app.kafka.broker_errors import Admin
from saga_app.kafka.messages import Place
from saga_app.kafka.repeated_ends import RepeatedEnds
from saga_app.kafka.retries import with_retries
from saga_app.settings import Settings

#: Seconds to wait for the broker's answer.
TIMEOUT: Final = 10.0
#: Kafka's states of a group, in words.
_WORDS: Final = {
    "preparingrebalance": "preparing a rebalance",
    "completingrebalance": "completing a rebalance",
}


class Members(NamedTuple):
    """The number of members, the state of the group in words, and the members' machines.

    `owners` has the member that each partition of an inbox is assigned to: its machine, and the end of its id.
    `ends` has the members that say of themselves that they ended again and again, by machine. `addresses` has that of
    each member's web server, by the name that it has in `owners`.
    """

    number: int
    state: str
    hosts: list[str]
    owners: dict[Place, str]
    ends: Mapping[str, RepeatedEnds] = {}
    addresses: Mapping[str, str] = {}

    @property
    def is_settled(self) -> bool:
        """True if no rebalance is under way."""
        return self.state == "stable" or not self.number


class ConsumerGroup:
    """The consumer group of the workers with these settings. Methods raise `KafkaException`."""

    def __init__(self, settings: Settings, admin: Admin | None = None, seconds: float = TIMEOUT) -> None:
        """`seconds` is the longest wait for an answer."""
        self._settings = settings
        self._admin = admin or Admin(settings)
        self._seconds = seconds

    def members(self) -> Members:
        """The members now; none if the group does not exist."""
        found = self._described()
        if found is None:
            return Members(0, "dead", [], {})
        owners = {place: _name(each) for each in found.members for place in _assigned(each.assignment)}
        state = str(found.state).lower()
        return Members(
            len(found.members),
            _WORDS.get(state, state),
            sorted({_host(each) for each in found.members}),
            owners,
            _told_ends(found.members),
            {_name(each): address for each in found.members if (address := address_in(each.metadata))},
        )

    def lag(self, topic: str) -> int:
        """Records that the group has not committed; without a commit it begins with the first record that is there."""
        places = [(topic, partition) for partition in range(self._settings.partitions)]
        done = committed(self._settings, self._settings.app_id, places, self._seconds)
        first = offsets.beginnings(self._admin, places, self._seconds)
        ends = offsets.ends(self._admin, places, self._seconds)
        return sum(max(0, ends[place] - max(done[place], first[place])) for place in places)

    def _described(self) -> Any:
        """Kafka's description of the group, from its coordinator; None if there is no such group.

        Every broker is asked, and those that do not coordinate the group say so. confluent-kafka prefers
        `describe_consumer_groups`, which is one of the requests that may end the process.
        """
        answers = self._admin.list_groups(self._settings.app_id, timeout=self._seconds)
        found = [each for each in answers if each.error is None]
        errors = [each.error for each in answers if each.error is not None]
        faults = [error for error in errors if error.code() != KafkaError.NOT_COORDINATOR]
        if not found and faults:
            raise KafkaException(faults[0])
        return max(found, key=lambda each: len(each.members), default=None)


def committed(settings: Settings, group: str, places: Iterable[Place], seconds: float) -> dict[Place, Offset]:
    """The committed offset of each place, 0 if there is none. Raises `KafkaException`."""
    consumer = outsider(settings, group)
    try:
        return committed_of(consumer, places, seconds)
    finally:
        consumer.close()


def committed_of(consumer: Consumer, places: Iterable[Place], seconds: float) -> dict[Place, Offset]:
    """`committed`, by a consumer of the group. It asks again while the coordinator is new, or moves."""
    asked = [TopicPartition(*place) for place in places]

    def ask() -> dict[Place, Offset]:
        answer = consumer.committed(asked, timeout=seconds)
        for each in answer:
            if each.error is not None:
                raise KafkaException(each.error)
        return {(each.topic, each.partition): Offset(max(0, each.offset)) for each in answer}

    return with_retries(ask, seconds)


def outsider(settings: Settings, group: str, **options: Any) -> Consumer:
    """A consumer with the group's id that never joins the group, and commits nothing."""
    return Consumer(
        {
            **settings.kafka,
            "group.id": group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            **options,
        }
    )


def _assigned(data: bytes | None) -> Iterator[Place]:
    """The partitions in an assignment in Kafka's consumer protocol: a version, then each topic with its partitions."""
    if not data:
        return
    (count,), at = struct.unpack_from(">i", data, 2), 6
    for _ in range(count):
        (length,) = struct.unpack_from(">h", data, at)
        topic = data[at + 2 : at + 2 + length].decode()
        at += 2 + length
        (number,) = struct.unpack_from(">i", data, at)
        for partition in struct.unpack_from(f">{number}i", data, at + 4):
            yield topic, partition
        at += 4 + 4 * number


def address_in(subscription: bytes | None) -> str | None:
    """The address of a worker's web server, in its subscription to the group; None if there is none.

    Kafka's consumer protocol has a version, topics and the member's own bytes; Faust's are JSON with `url`.
    """
    try:
        data = subscription or b""
        (count,), at = struct.unpack_from(">i", data, 2), 6
        for _ in range(count):
            at += 2 + struct.unpack_from(">h", data, at)[0]
        (length,) = struct.unpack_from(">i", data, at)
        url = json.loads(data[at + 4 : at + 4 + max(0, length)])["url"]
    except (struct.error, ValueError, LookupError, TypeError):
        return None
    # Whoever may join the group writes this, and pages make a link of it.
    is_address = isinstance(url, str) and url.isprintable() and url.startswith(("http://", "https://"))
    return url if is_address and len(url) <= 200 else None


def _name(member: Any) -> str:
    return f"{_host(member)} …{member.id[-6:]}"


def _told_ends(members: Iterable[Any]) -> dict[str, RepeatedEnds]:
    """Of each machine the worst; a member that has just ended is still told for one session timeout."""
    told = ((_host(each), RepeatedEnds.parse(str(each.client_id))) for each in members)
    return dict(sorted((host, ends) for host, ends in told if ends is not None))


def _host(member: Any) -> str:
    return str(member.client_host).lstrip("/")
