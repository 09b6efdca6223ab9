"""Which topics a worker refuses, by the rule of `topics.BINDING`, and what it is told to do."""

from datetime import timedelta

import pytest

from saga_app import topics
from saga_app.kafka.topic_faults import FIXED, FaultKind, partition_fault, remedy, setting_faults
from saga_app.topics import Topic

INBOX, *_, CHANGELOG = topics.wanted("saga", ("orders",), 8, 3, timedelta(days=30))
DAY = 24 * 3600 * 1000


def kinds(setting: str, value: str, replicas: int = 3) -> dict[str, FaultKind]:
    """The faults of an inbox with this setting, and otherwise as wanted."""
    faults = setting_faults(INBOX, replicas, {**INBOX.config, setting: value})
    return {fault.text: fault.kind for fault in faults}


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("cleanup.policy", "compact"),
        ("cleanup.policy", "compact,delete"),
        ("retention.ms", str(7 * DAY)),
        ("retention.bytes", "1000000"),
        ("message.timestamp.type", "CreateTime"),
        ("max.message.bytes", "1000"),
        ("min.insync.replicas", "1"),
        ("unclean.leader.election.enable", "true"),
    ],
)
def test_a_setting_with_which_records_are_lost_or_wrong_is_refused(setting: str, value: str) -> None:
    (found,) = kinds(setting, value).items()
    assert found[0].startswith(f"{setting} is {value}, not ")
    assert found[1] is FaultKind.WEAKER


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("retention.ms", str(400 * DAY)),
        ("retention.ms", "-1"),
        ("max.message.bytes", "9000000"),
        ("segment.ms", str(7 * DAY)),
    ],
)
def test_a_setting_that_is_stronger_or_only_different_is_told_and_accepted(setting: str, value: str) -> None:
    assert list(kinds(setting, value).values()) == [FaultKind.DIFFERENT]


@pytest.mark.parametrize(("name", "value"), [("cleanup.policy", "delete"), ("min.compaction.lag.ms", "0")])
def test_a_changelog_from_which_rows_are_deleted_or_replaced_too_soon_is_refused(
    name: str, value: str
) -> None:
    (fault,) = setting_faults(CHANGELOG, 3, {**CHANGELOG.config, name: value})
    assert fault.is_refused


def test_the_replicas_that_must_have_a_record_follow_from_those_that_there_are() -> None:
    """Two of one replica could never have a record; more than wanted are no difference."""
    assert kinds("min.insync.replicas", "1", replicas=1) == {}
    assert kinds("min.insync.replicas", "3", replicas=3) == {}
    assert list(kinds("min.insync.replicas", "2", replicas=1).values()) == [FaultKind.WEAKER]


def test_nothing_on_which_the_promise_rests_is_left_to_the_brokers_defaults() -> None:
    for topic in topics.wanted("saga", ("orders",), 8):
        of_compaction = {"min.compaction.lag.ms"}
        of_deletion = {"retention.ms", "retention.bytes"}
        # Nobody but workers writes to changelogs and outcomes.
        of_people = {"compression.type"}
        is_log = topic is CHANGELOG or topic.config["cleanup.policy"] == "compact"
        left = of_deletion | of_people if is_log else of_compaction
        assert set(topics.BINDING) - left <= set(topic.config), topic.name


def test_nobody_is_told_to_change_the_number_of_partitions_once_there_are_records() -> None:
    made = Topic(topics.PAYMENT, 8, {})
    added = partition_fault(made, [5] * 8 + [3], 3)
    assert added.text == "9 partitions, not 8, 3 records in partitions that no worker reads"
    fewer = partition_fault(made, [5, 0, 0], 0)
    for fault in (added, fewer):
        assert remedy({made.name: [fault]}) == FIXED
        assert "must not follow" in FIXED and "docs/how-to/add-partitions.md" in FIXED
    empty = remedy({made.name: [partition_fault(made, [0, 0, 0], 0)]})
    assert "--delete --topic NAME), then run `saga topics --create`" in empty


@pytest.mark.parametrize(("unread", "harmful"), [(3, True), (0, False)])
def test_added_partitions_that_are_left_alone_harm_while_records_lie_there(
    unread: int, harmful: bool
) -> None:
    """A worker starts on them, and is ready when nothing lies where nobody reads."""
    fault = partition_fault(Topic(topics.PAYMENT, 8, {}), [5] * 9, unread, leaves_added=True)
    assert (fault.is_refused, fault.is_harmful) == (False, harmful)
    assert ("`saga topics --move`" in remedy({topics.PAYMENT: [fault]})) is harmful
