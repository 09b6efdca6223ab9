"""The consumer group of the workers: its members and its lag."""

from typing import Any, Final, NamedTuple

from saga_app.kafka import offsets
from saga_app.kafka.broker_errors import Admin
from saga_app.kafka.messages import Place
from saga_app.kafka.offsets import committed
from saga_app.kafka.retries import with_retries
from saga_app.settings import Settings

#: Seconds to wait for the broker's answer.
TIMEOUT: Final = 10.0


class Members(NamedTuple):
    """The number of members, the state of the group in Kafka's word, and the members' machines.

    `owners` has the member that each partition of an inbox is assigned to: its machine, and the end of its id.
    """

    number: int
    state: str
    hosts: list[str]
    owners: dict[Place, str]


class ConsumerGroup:
    """The consumer group of the workers with these settings. Methods raise `KafkaException`."""

    def __init__(self, settings: Settings, admin: Admin | None = None, seconds: float = TIMEOUT) -> None:
        """`seconds` is the longest wait for an answer."""
        self._settings = settings
        self._admin = admin or Admin(settings)
        self._seconds = seconds

    def members(self) -> Members:
        """The members now; none if the group does not exist."""
        name = self._settings.app_id
        found = with_retries(
            self._admin,
            lambda: self._admin.describe_consumer_groups([name], request_timeout=self._seconds)[
                name
            ].result(),
            self._seconds,
        )
        hosts = sorted({_host(each) for each in found.members})
        owners = {
            (place.topic, place.partition): f"{_host(each)} …{each.member_id[-6:]}"
            for each in found.members
            for place in (each.assignment.topic_partitions if each.assignment else ())
        }
        return Members(len(found.members), found.state.name.lower(), hosts, owners)

    def lag(self, topic: str) -> int:
        """Records that the group has not committed; without a commit it begins with the first record that is there."""
        places = [(topic, partition) for partition in range(self._settings.partitions)]
        done = committed(self._admin, self._settings.app_id, places, self._seconds)
        first = offsets.beginnings(self._admin, places, self._seconds)
        ends = offsets.ends(self._admin, places, self._seconds)
        return sum(max(0, ends[place] - max(done[place], first[place])) for place in places)


def _host(member: Any) -> str:
    return str(member.host).lstrip("/")
