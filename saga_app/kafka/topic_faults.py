"""The faults of a topic, and the command or the page that mends each. Nobody is asked here."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum, auto
from typing import Final, NamedTuple

from saga_app.topics import Topic, is_weaker, least_in_sync

IN_SYNC: Final = "min.insync.replicas"
#: Never "set it to another number": a key would move to a partition where its account is not, and be paid twice.
FIXED: Final = (
    "SAGA_PARTITIONS is for life what the topics were made with, and must not follow partitions that were added: "
    "docs/how-to/add-partitions.md"
)


class FaultKind(StrEnum):
    """The kinds of faults; a worker refuses to start with some of them."""

    MISSING = auto()
    #: Missing, though the workers' group has decided records: it was there, and is lost.
    LOST = auto()
    PARTITIONS = auto()
    #: Partitions were added and are left alone, but records lie there.
    ADDED = auto()
    #: Partitions were added and are left alone.
    LEFT = auto()
    #: Another partition count, and there was never a record.
    EMPTY = auto()
    REPLICAS = auto()
    #: By the rule of `topics.BINDING`.
    WEAKER = auto()
    DIFFERENT = auto()


_ACCEPTED: Final = (FaultKind.ADDED, FaultKind.LEFT, FaultKind.REPLICAS, FaultKind.DIFFERENT)


class TopicFault(NamedTuple):
    """One fault in words."""

    kind: FaultKind
    text: str

    @property
    def is_missing(self) -> bool:
        """True if there is no such topic."""
        return self.kind in (FaultKind.MISSING, FaultKind.LOST)

    @property
    def is_refused(self) -> bool:
        """True if a worker must not work with such a topic."""
        return self.kind not in _ACCEPTED

    @property
    def is_harmful(self) -> bool:
        """True if a worker that has started nevertheless is not ready."""
        return self.is_refused or self.kind is FaultKind.ADDED


#: By name of the topic; topics without faults are left out.
TopicFaults = Mapping[str, Sequence[TopicFault]]


def config_of(topic: Topic, replicas: int) -> dict[str, str]:
    """The settings that a topic with so many replicas must have: two of one replica could never have a record."""
    least = least_in_sync(min(topic.replication, replicas))
    return {**topic.config, IN_SYNC: str(least)} if IN_SYNC in topic.config else topic.config


def differences(topic: Topic, replicas: int, actual: Mapping[str, str]) -> dict[str, str]:
    """The settings that differ, each with its actual value. More replicas in sync than wanted are no difference."""
    wanted = config_of(topic, replicas)
    found = {name: actual[name] for name in wanted if actual[name] != wanted[name]}
    if IN_SYNC in found and int(wanted[IN_SYNC]) <= int(found[IN_SYNC]) <= replicas:
        del found[IN_SYNC]
    return found


def setting_faults(topic: Topic, replicas: int, actual: Mapping[str, str]) -> Iterator[TopicFault]:
    """The faults of a topic's settings."""
    wanted = config_of(topic, replicas)
    for name, value in differences(topic, replicas, actual).items():
        weaker = is_weaker(name, value, wanted[name]) or name == IN_SYNC
        kind = FaultKind.WEAKER if weaker else FaultKind.DIFFERENT
        yield TopicFault(kind, f"{name} is {value}, not {wanted[name]}")


def is_wrong_count(topic: Topic, count: int, *, leaves_added: bool) -> bool:
    """True if no worker may work with so many partitions; more than wanted may be left alone."""
    return count < topic.partitions or (count > topic.partitions and not leaves_added)


def partition_fault(
    topic: Topic, ends: Sequence[int], unread: int, *, leaves_added: bool = False
) -> TopicFault:
    """The fault of a topic with another partition count: by partition its end; records in the added ones."""
    count = f"{len(ends)} partitions, not {topic.partitions}"
    if not any(ends):
        return TopicFault(FaultKind.EMPTY, f"{count}, and no record yet")
    if len(ends) < topic.partitions:
        return TopicFault(FaultKind.PARTITIONS, count)
    kind = FaultKind.ADDED if unread else FaultKind.LEFT
    if is_wrong_count(topic, len(ends), leaves_added=leaves_added):
        kind = FaultKind.PARTITIONS
    return TopicFault(kind, f"{count}, {unread} records in partitions that no worker reads")


def only(faults: TopicFaults, wanted: Callable[[TopicFault], bool]) -> TopicFaults:
    """The faults for which `wanted` is true."""
    found = {name: list(filter(wanted, each)) for name, each in faults.items()}
    return {name: each for name, each in found.items() if each}


def told(faults: TopicFaults) -> str:
    """All faults in one line, each once with the names of its topics."""
    topics = defaultdict(list)
    for name, found in faults.items():
        for fault in found:
            topics[fault.text].append(name)
    return "; ".join(f"{', '.join(names)}: {text}" for text, names in topics.items())


def remedy(faults: TopicFaults) -> str:
    """The commands that mend the faults, or the page that says what to do."""
    kinds = {fault.kind for found in faults.values() for fault in found}
    advice = {
        FaultKind.MISSING: "`saga topics --create` creates missing topics",
        FaultKind.LOST: "it was deleted: find it in docs/how-to/recover.md before you create it again",
        FaultKind.EMPTY: "if SAGA_PARTITIONS is right, delete the topics without a record (kafka-topics.sh "
        "--bootstrap-server $SAGA_BROKER --delete --topic NAME), then run `saga topics --create`",
        FaultKind.PARTITIONS: FIXED,
        FaultKind.ADDED: "`saga topics --move` sends them where they belong",
        FaultKind.WEAKER: "records can be lost or be wrong until `saga topics --alter` has put the settings right",
        FaultKind.LEFT: "SAGA_ADDED_PARTITIONS leaves added partitions alone",
        FaultKind.REPLICAS: "replicas are added with Kafka's kafka-reassign-partitions.sh",
        FaultKind.DIFFERENT: "`saga topics --alter` puts other settings right",
    }
    return "; ".join(text for kind, text in advice.items() if kind in kinds)
