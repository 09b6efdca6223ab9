"""Creates missing topics, compares existing ones with the settings, and alters them."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic

from saga_app.kafka import offsets
from saga_app.kafka.broker_errors import Admin, refused
from saga_app.kafka.consumer_group import committed
from saga_app.kafka.retries import asked, with_retries
from saga_app.kafka.topic_faults import (
    FaultKind,
    TopicFault,
    TopicFaults,
    config_of,
    differences,
    is_wrong_count,
    only,
    partition_fault,
    remedy,
    setting_faults,
    told,
)
from saga_app.settings import Settings
from saga_app.topics import INBOXES, Topic

#: Seconds to wait for the broker's answer.
TIMEOUT = 15.0
REFUSED: Final = attrgetter("is_refused")
#: Seconds after which all brokers show a change.
SETTLING = 1.0


class TopicsWrong(Exception):
    """Topics are missing or wrong; the message names each and says what to do."""


class BrokerUnreachable(Exception):
    """No answer from the broker."""


class BrokerRefuses(BrokerUnreachable):
    """A broker answers but refuses the client, or the client does not trust it; `words` name the setting."""

    def __init__(self, broker: str, words: str) -> None:
        super().__init__(f"{broker}: {words}")
        self.words = words


class TopicCheck(NamedTuple):
    """The missing topics, and a sentence about each topic that is wrong."""

    missing: list[Topic]
    wrong: list[str]


def check(settings: Settings, topics: Sequence[Topic]) -> TopicCheck:
    """Compares names and partition counts with the broker."""
    existing = _partitions(settings)
    wrong = _with_wrong_count(settings, topics, existing)
    return TopicCheck(
        [topic for topic in topics if topic.name not in existing],
        [f"{each.name} has {len(existing[each.name])} partitions, not {each.partitions}" for each in wrong],
    )


def counts(settings: Settings) -> dict[str, int]:
    """The number of partitions of every topic that is there, by one request. Raises `BrokerUnreachable`."""
    return {name: len(replicas) for name, replicas in _partitions(settings).items()}


def compare(settings: Settings, topics: Sequence[Topic]) -> dict[str, list[TopicFault]]:
    """By topic, the faults; a topic without faults is left out. Raises `BrokerUnreachable`."""
    existing = _partitions(settings)
    missing = [topic.name for topic in topics if topic.name not in existing]
    fault = _missing_fault(settings, existing) if missing else None
    faults = {name: [fault] for name in missing if fault}
    with _one_kind_of_error(settings):
        for there in _settings(settings, topics, existing):
            found = faults.setdefault(there.topic.name, [])
            if len(there.replicas) != there.topic.partitions:
                found.append(_count_fault(settings, there.topic, len(there.replicas)))
            if there.fewest < there.topic.replication:
                text = f"{there.fewest} replicas, not {there.topic.replication}"
                found.append(TopicFault(FaultKind.REPLICAS, text))
            found += setting_faults(there.topic, there.fewest, there.config)
    return {name: found for name, found in faults.items() if found}


def _missing_fault(settings: Settings, existing: "Replicas") -> TopicFault:
    """The fault of a missing topic: it is lost if the workers have committed offsets."""
    inboxes = [(name, each) for name in INBOXES for each in range(len(existing.get(name, ())))]
    try:
        done = committed(settings, settings.app_id, inboxes, TIMEOUT) if inboxes else {}
    except KafkaException:
        done = {}
    if any(done.values()):
        return TopicFault(FaultKind.LOST, f"missing, but the group {settings.app_id} has committed offsets")
    return TopicFault(FaultKind.MISSING, "missing")


def require(settings: Settings, topics: Sequence[Topic]) -> TopicFaults:
    """For a worker: the differences that it may live with. `TopicsWrong` with the others, and what mends them."""
    end = time.monotonic() + SETTLING
    while bad := only(faults := compare(settings, topics), REFUSED):
        # A broker confirms a change before all brokers show it: another worker, or a command, may just have made one.
        if time.monotonic() > end:
            raise TopicsWrong(f"{told(bad)}; {remedy(bad)}")
        time.sleep(0.05)
    return faults


def _with_wrong_count(settings: Settings, topics: Sequence[Topic], existing: "Replicas") -> list[Topic]:
    """The topics with another number of partitions, except where added ones are left alone."""
    leaves_added = settings.leaves_added_partitions
    return [
        topic
        for topic in topics
        if topic.name in existing
        and is_wrong_count(topic, len(existing[topic.name]), leaves_added=leaves_added)
    ]


def _count_fault(settings: Settings, topic: Topic, count: int) -> TopicFault:
    admin = _admin(settings)
    ends = offsets.ends(admin, [(topic.name, each) for each in range(count)])
    added = offsets.added(admin, {topic.name: count}, topic.partitions)
    unread = sum(each.records for each in added.values())
    leaves_added = settings.leaves_added_partitions
    return partition_fault(topic, list(ends.values()), unread, leaves_added=leaves_added)


def alter(settings: Settings, topics: Sequence[Topic]) -> None:
    """Gives existing topics the wanted settings. Raises `BrokerUnreachable` and `TopicsWrong`.

    It waits until the broker shows the change, since a broker confirms a change before it shows it.
    """
    existing = _partitions(settings)
    with _one_kind_of_error(settings):
        changes = [_change(there, names) for there, names in _differing(settings, topics, existing)]
        if not changes:
            return
        admin = _admin(settings)
        for future in admin.incremental_alter_configs(changes, request_timeout=TIMEOUT).values():
            future.result()
        end = time.monotonic() + TIMEOUT
        while left := [there.topic.name for there, _ in _differing(settings, topics, existing)]:
            if time.monotonic() > end:
                raise TopicsWrong(
                    f"{', '.join(left)} were altered, but the broker does not show it after {TIMEOUT:.0f} s"
                )
            time.sleep(0.05)


class _There(NamedTuple):
    """A topic that exists: the replicas of each partition, and the actual settings."""

    topic: Topic
    replicas: list[int]
    config: dict[str, str]

    @property
    def fewest(self) -> int:
        return min(self.replicas, default=0)


def _change(there: _There, names: Iterable[str]) -> ConfigResource:
    wanted = config_of(there.topic, there.fewest)
    entries = [ConfigEntry(name, wanted[name], incremental_operation=AlterConfigOpType.SET) for name in names]
    return ConfigResource(ConfigResource.Type.TOPIC, there.topic.name, incremental_configs=entries)


def _differing(
    settings: Settings, topics: Sequence[Topic], existing: "Replicas"
) -> Iterator[tuple[_There, dict[str, str]]]:
    for there in _settings(settings, topics, existing):
        if different := differences(there.topic, there.fewest, there.config):
            yield there, different


def _settings(settings: Settings, topics: Sequence[Topic], existing: "Replicas") -> list[_There]:
    """The topics that exist, with their settings."""
    there = [topic for topic in topics if topic.name in existing]
    resources = [ConfigResource(ConfigResource.Type.TOPIC, topic.name) for topic in there]

    def ask(answer: float) -> dict[str, Any]:
        answers = admin.describe_configs(resources, request_timeout=answer)
        return {resource.name: future.result() for resource, future in answers.items()}

    admin = _admin(settings)
    found = asked(admin, ask, TIMEOUT) if resources else {}
    return [
        _There(topic, existing[topic.name], {name: found[topic.name][name].value for name in topic.config})
        for topic in there
    ]


def ensure(settings: Settings, topics: Sequence[Topic]) -> list[str]:
    """Creates missing topics and returns their names. `TopicsWrong` if a partition count differs.

    It repeats until all topics are there: a broker confirms a creation before its metadata shows it, and one of several
    brokers may show a deleted topic for a moment.
    """
    created: list[str] = []
    end = time.monotonic() + TIMEOUT
    while missing := _missing(settings, topics):
        if time.monotonic() > end:
            names = ", ".join(topic.name for topic in missing)
            raise TopicsWrong(
                f"{names} were created, but the broker does not show them after {TIMEOUT:.0f} s"
            )
        created += _create(settings, missing)
        time.sleep(0.05)
    return created


def delete(settings: Settings, names: Sequence[str]) -> None:
    """Deletes these topics, and waits until the broker shows them no more. Raises `KafkaException`, `TopicsWrong`."""
    admin = _admin(settings)
    for future in admin.delete_topics(list(names), request_timeout=TIMEOUT).values():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise
    end = time.monotonic() + TIMEOUT
    while left := sorted(set(names) & _partitions(settings).keys()):
        if time.monotonic() > end:
            raise TopicsWrong(
                f"{', '.join(left)} were deleted, but the broker still shows them after {TIMEOUT:.0f} s"
            )
        time.sleep(0.05)


def _missing(settings: Settings, topics: Sequence[Topic]) -> list[Topic]:
    existing = _partitions(settings)
    if wrong := _with_wrong_count(settings, topics, existing):
        bad = {each.name: [_count_fault(settings, each, len(existing[each.name]))] for each in wrong}
        raise TopicsWrong(f"{told(bad)}; {remedy(bad)}")
    return [topic for topic in topics if topic.name not in existing]


def _create(settings: Settings, topics: Sequence[Topic]) -> Iterator[str]:
    # Kept in a variable: without a reference the client ends, and its requests with it.
    admin = _admin(settings)
    new = [NewTopic(each.name, each.partitions, each.replication, config=each.config) for each in topics]
    for name, future in admin.create_topics(new, request_timeout=TIMEOUT).items():
        try:
            future.result()
            yield name
        except KafkaException as error:
            # Another worker may have created it at the same time.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                why = refused(error.args[0]) or error.args[0].str()
                raise TopicsWrong(f"topic {name} could not be created: {why}") from error


@contextmanager
def _one_kind_of_error(settings: Settings) -> Iterator[None]:
    """Turns a `KafkaException` into `BrokerRefuses` or `BrokerUnreachable`."""
    try:
        yield
    except KafkaException as error:
        _must_not_be_refused(settings, error)
        raise BrokerUnreachable(f"{settings.broker}: {error.args[0].str()}") from error


def _must_not_be_refused(settings: Settings, error: KafkaException) -> None:
    if words := refused(error.args[0]):
        raise BrokerRefuses(settings.broker, words) from error


def _admin(settings: Settings) -> AdminClient:
    return Admin(settings)


#: By topic, the number of replicas of each partition.
Replicas = dict[str, list[int]]


def _partitions(settings: Settings) -> Replicas:
    """The topics that exist."""
    try:
        # A new client for each try. The first broker asked may be frozen; and a client that asks a starting broker may
        # lose it for good (see `liveness`), as workers and brokers are often started together.
        answer = settings.timeouts.answer
        metadata = with_retries(lambda: _admin(settings).list_topics(timeout=answer), TIMEOUT)
    except KafkaException as error:
        _must_not_be_refused(settings, error)
        raise BrokerUnreachable(
            f"no answer from {settings.broker} within {TIMEOUT:.0f} s ({error.args[0].str()}); is the broker running, "
            f"is SAGA_BROKER right, and does it listen there for SAGA_SECURITY={settings.security.protocol}?"
        ) from error
    return {
        name: [len(partition.replicas) for partition in topic.partitions.values()]
        for name, topic in metadata.topics.items()
    }
