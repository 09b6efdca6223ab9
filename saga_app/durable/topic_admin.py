"""Makes the topics that are missing and compares those that exist."""

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic

from saga_app.durable.patience import patiently
from saga_app.settings import Settings
from saga_app.topics import Topic

#: Seconds to wait for the broker's answer.
PATIENCE = 15.0


class TopicsWrong(Exception):
    """Topics that cannot be used; the message names each and says what to do."""


class BrokerUnreachable(Exception):
    """No answer from the broker."""


class Check(NamedTuple):
    """Topics that are missing, and what is wrong with those that exist."""

    missing: list[Topic]
    wrong: list[str]


def check(settings: Settings, topics: Sequence[Topic]) -> Check:
    """Compares names and partition counts with the broker's."""
    existing = {name: len(each) for name, each in _partitions(_admin(settings), settings).items()}
    missing = [topic for topic in topics if topic.name not in existing]
    wrong = [
        f"{topic.name} has {existing[topic.name]} partitions, not {topic.partitions}"
        for topic in topics
        if existing.get(topic.name, topic.partitions) != topic.partitions
    ]
    return Check(missing, wrong)


def compare(settings: Settings, topics: Sequence[Topic]) -> dict[str, list[str]]:
    """What is missing or different, by topic; topics that are as they must be are left out."""
    admin = _admin(settings)
    existing = _partitions(admin, settings)
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
    """Gives the topics that exist the settings that they must have. Raises `KafkaException`."""
    admin = _admin(settings)
    existing = _partitions(admin, settings)
    changes = [
        ConfigResource(
            ConfigResource.Type.TOPIC,
            topic.name,
            incremental_configs=[
                ConfigEntry(name, topic.config[name], incremental_operation=AlterConfigOpType.SET)
                for name in differences
            ],
        )
        for topic, differences in _differences(admin, [each for each in topics if each.name in existing])
    ]
    if changes:
        for future in admin.incremental_alter_configs(changes, request_timeout=PATIENCE).values():
            future.result()


def _differences(admin: AdminClient, topics: Sequence[Topic]) -> Iterator[tuple[Topic, dict[str, str]]]:
    """Topics that differ, each with the settings that it has instead."""
    asked = [ConfigResource(ConfigResource.Type.TOPIC, topic.name) for topic in topics]
    answers = admin.describe_configs(asked, request_timeout=PATIENCE) if asked else {}
    found = {resource.name: future.result() for resource, future in answers.items()}
    for topic in topics:
        actual = {name: found[topic.name][name].value for name in topic.config}
        if different := {name: value for name, value in actual.items() if value != topic.config[name]}:
            yield topic, different


def ensure(settings: Settings, topics: Sequence[Topic]) -> list[str]:
    """Creates what is missing; the names created. `TopicsWrong` if a partition count differs."""
    found = check(settings, topics)
    if found.wrong:
        raise TopicsWrong(
            f"{'; '.join(found.wrong)}. The partition count is fixed for life: set SAGA_PARTITIONS to the topics' "
            "count, or use another SAGA_APP_ID and other topics"
        )
    admin = _admin(settings)
    new = [
        NewTopic(each.name, each.partitions, each.replication, config=each.config) for each in found.missing
    ]
    if not new:
        return []
    for name, future in admin.create_topics(new, request_timeout=PATIENCE).items():
        try:
            future.result()
        except KafkaException as error:
            # Another worker, started at the same time, was quicker.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise TopicsWrong(f"topic {name} could not be created: {error.args[0].str()}") from error
    _wait_until_known(settings, topics)
    return [topic.name for topic in found.missing]


def _wait_until_known(settings: Settings, topics: Sequence[Topic]) -> None:
    """The broker confirms a creation before its own metadata shows it."""
    end = time.monotonic() + PATIENCE
    while missing := check(settings, topics).missing:
        if time.monotonic() > end:
            names = ", ".join(topic.name for topic in missing)
            raise TopicsWrong(
                f"{names} were created, but the broker does not show them after {PATIENCE:.0f} s"
            )
        time.sleep(0.05)


def _admin(settings: Settings) -> AdminClient:
    return AdminClient({**settings.kafka, "log_level": 0})


def _partitions(admin: AdminClient, settings: Settings) -> dict[str, list[int]]:
    """Of each topic: how many replicas each of its partitions has."""
    try:
        # One that is frozen may be asked first.
        answer = settings.timeouts.answer
        metadata = patiently(admin, lambda: admin.list_topics(timeout=answer), PATIENCE)
    except KafkaException as error:
        raise BrokerUnreachable(
            f"no answer from {settings.broker} within {PATIENCE:.0f} s ({error.args[0].str()}); "
            "is the broker running, and is SAGA_BROKER right?"
        ) from error
    return {
        name: [len(partition.replicas) for partition in topic.partitions.values()]
        for name, topic in metadata.topics.items()
    }
