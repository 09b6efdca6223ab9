"""The workers as Kafka knows them: the members of their group, and what they have not taken yet."""

from typing import Any, Final, NamedTuple

from saga_app.kafka import offsets
from saga_app.kafka.broker_errors import Admin
from saga_app.kafka.messages import Place
from saga_app.kafka.offsets import committed
from saga_app.kafka.retries import patiently
from saga_app.settings import Settings

#: Seconds to wait for the broker's answer.
PATIENCE: Final = 10.0


class Members(NamedTuple):
    """How many there are, the state of their group in Kafka's word, and their machines.

    `owners` names the member that each partition of an inbox is assigned to: its machine, and the end of its id.
    """

    number: int
    state: str
    hosts: list[str]
    owners: dict[Place, str]


class Group:
    """The consumer group of the workers with these settings. Methods raise `KafkaException`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin = Admin(settings)

    def members(self) -> Members:
        """Who is in it now; a group that never was has no members."""
        name = self._settings.app_id
        found = patiently(
            self._admin,
            lambda: self._admin.describe_consumer_groups([name], request_timeout=PATIENCE)[name].result(),
            PATIENCE,
        )
        hosts = sorted({_host(each) for each in found.members})
        owners = {
            (place.topic, place.partition): f"{_host(each)} …{each.member_id[-6:]}"
            for each in found.members
            for place in (each.assignment.topic_partitions if each.assignment else ())
        }
        return Members(len(found.members), found.state.name.lower(), hosts, owners)

    def lag(self, topic: str) -> int:
        """Records that it has not taken; where it has taken none yet, it begins with the first that is there."""
        places = [(topic, partition) for partition in range(self._settings.partitions)]
        taken = committed(self._admin, self._settings.app_id, places, PATIENCE)
        first = offsets.beginnings(self._admin, places)
        ends = offsets.ends(self._admin, places)
        return sum(max(0, ends[place] - max(taken[place], first[place])) for place in places)


def _host(member: Any) -> str:
    return str(member.host).lstrip("/")
