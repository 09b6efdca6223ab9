"""Creates missing topics, compares existing ones with the settings, and alters them."""

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic

from saga_app.kafka.broker_errors import Admin, refused
from saga_app.kafka.retries import with_retries
from saga_app.settings import Settings
from saga_app.topics import Topic

#: Seconds to wait for the broker's answer.
TIMEOUT = 15.0


class TopicsWrong(Exception):
    """Topics are missing or wrong; the message names each and says what to do."""


class BrokerUnreachable(Exception):
    """No answer from the broker."""


class BrokerRefuses(BrokerUnreachable):
    """A broker answers but refuses the client, or the client does not trust it; the message names the setting."""


class TopicCheck(NamedTuple):
    """The missing topics, and a sentence about each topic that is wrong."""

    missing: list[Topic]
    wrong: list[str]


def check(settings: Settings, topics: Sequence[Topic]) -> TopicCheck:
    """Compares names and partition counts with the broker."""
    existing = {name: len(each) for name, each in _partitions(settings).items()}
    missing = [topic for topic in topics if topic.name not in existing]
    wrong = [
        f"{topic.name} has {existing[topic.name]} partitions, not {topic.partitions}"
        for topic in topics
        if existing.get(topic.name, topic.partitions) != topic.partitions
    ]
    return TopicCheck(missing, wrong)


def compare(settings: Settings, topics: Sequence[Topic]) -> dict[str, list[str]]:
    """By topic, the faults; a topic without faults is left out."""
    existing = _partitions(settings)
    admin = _admin(settings)
    faults: dict[str, list[str]] = {}
    for topic in topics:
        if topic.name not in existing:
            faults[topic.name] = ["missing"]
            continue
        replicas = existing[topic.name]
        if len(replicas) != topic.partitions:
            faults.setdefault(topic.name, []).append(f"{len(replicas)} partitions, not {topic.partitions}")
        if (fewest := min(replicas, default=0)) < topic.replication:
            faults.setdefault(topic.name, []).append(f"{fewest} replicas, not {topic.replication}")
    for topic, differences in _differences(admin, [topic for topic in topics if topic.name in existing]):
        for name, actual in differences.items():
            faults.setdefault(topic.name, []).append(f"{name} is {actual}, not {topic.config[name]}")
    return faults


def alter(settings: Settings, topics: Sequence[Topic]) -> None:
    """Gives existing topics the wanted settings. Raises `KafkaException` and `TopicsWrong`.

    It waits until the broker shows the change, since a broker confirms a change before it shows it.
    """
    existing = _partitions(settings)
    admin = _admin(settings)
    there = [topic for topic in topics if topic.name in existing]
    changes = [_change(topic, differences) for topic, differences in _differences(admin, there)]
    if not changes:
        return
    for future in admin.incremental_alter_configs(changes, request_timeout=TIMEOUT).values():
        future.result()
    end = time.monotonic() + TIMEOUT
    while left := [topic.name for topic, _ in _differences(admin, there)]:
        if time.monotonic() > end:
            raise TopicsWrong(
                f"{', '.join(left)} were altered, but the broker does not show it after {TIMEOUT:.0f} s"
            )
        time.sleep(0.05)


def _change(topic: Topic, names: Iterable[str]) -> ConfigResource:
    entries = [
        ConfigEntry(name, topic.config[name], incremental_operation=AlterConfigOpType.SET) for name in names
    ]
    return ConfigResource(ConfigResource.Type.TOPIC, topic.name, incremental_configs=entries)


def _differences(admin: AdminClient, topics: Sequence[Topic]) -> Iterator[tuple[Topic, dict[str, str]]]:
    """The topics that differ, each with its actual settings."""
    asked = [ConfigResource(ConfigResource.Type.TOPIC, topic.name) for topic in topics]
    answers = admin.describe_configs(asked, request_timeout=TIMEOUT) if asked else {}
    found = {resource.name: future.result() for resource, future in answers.items()}
    for topic in topics:
        actual = {name: found[topic.name][name].value for name in topic.config}
        if different := {name: value for name, value in actual.items() if value != topic.config[name]}:
            yield topic, different


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
    found = check(settings, topics)
    if found.wrong:
        raise TopicsWrong(
            f"{'; '.join(found.wrong)}. The partition count is fixed for life: set SAGA_PARTITIONS to the topics' "
            "count, or use another SAGA_APP_ID and other topics"
        )
    return found.missing


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


def _admin(settings: Settings) -> AdminClient:
    return Admin(settings)


def _partitions(settings: Settings) -> dict[str, list[int]]:
    """By topic, the number of replicas of each partition."""
    try:
        # A new client for each try. The first broker asked may be frozen; and a client that asks a starting broker may
        # lose it for good (see `liveness`), as workers and brokers are often started together.
        answer = settings.timeouts.answer
        metadata = with_retries(None, lambda: _admin(settings).list_topics(timeout=answer), TIMEOUT)
    except KafkaException as error:
        if words := refused(error.args[0]):
            raise BrokerRefuses(f"{settings.broker}: {words}") from error
        raise BrokerUnreachable(
            f"no answer from {settings.broker} within {TIMEOUT:.0f} s ({error.args[0].str()}); is the broker running, "
            f"is SAGA_BROKER right, and does it listen there for SAGA_SECURITY={settings.security.protocol}?"
        ) from error
    return {
        name: [len(partition.replicas) for partition in topic.partitions.values()]
        for name, topic in metadata.topics.items()
    }
