"""`saga policy` shows the rules in force, partition by partition."""

import json
import shlex
from decimal import Decimal

import pytest

from saga_app import topics, wire
from saga_app.core.numbers import version_at
from saga_app.core.records import PolicyChanged
from saga_app.core.rows import JournalRow, State
from saga_app.engine.ports import row_record
from saga_app.kafka.sender import Sender
from saga_app.settings import Settings
from tests.commands.dead_letter_topic import PARTITIONS, Saga
from tests.support.blocks import blocks

pytestmark = pytest.mark.live

CHANGELOG = topics.changelog("saga", "payments")


def write(partition: int, policy_id: str, version: int, limit: str) -> None:
    """The row that a worker writes."""
    row = JournalRow(version_at(version), State.DONE, "content", limit=Decimal(limit))
    record = row_record(CHANGELOG, partition, f"policy:{policy_id}".encode(), row.encode())
    Sender(Settings.read()).post([record])


def test_the_rules_in_force_have_one_line_each_and_partitions_that_disagree_are_told(saga: Saga):
    assert saga("policy").stdout.splitlines() == [
        f"checkout  route payment,inventory,shipping, patience 930 s (the default), in all {PARTITIONS} partitions",
        f"payment   limit 1000.00 (the default), in all {PARTITIONS} partitions",
        f"shipping  countries GB (the default), in all {PARTITIONS} partitions",
    ]
    for partition in range(PARTITIONS):
        write(partition, "p2", 7, "1500")
        # An old row that was written late does not come into force again.
        write(partition, "p1", 3, "10")
    result = saga("policy")
    assert result.exit_code == 0
    assert f"payment   limit 1500 (policy p2), in all {PARTITIONS} partitions" in result.stdout.splitlines()
    write(1, "p3", 9, "5")
    result = saga("policy", "--json")
    assert result.exit_code == 1 and "the partitions of payment have different rules" in result.stderr
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(each["policy_id"], each["partitions"]) for each in found] == [
        (None, [0, 1, 2, 3]),
        ("p2", [0, 2, 3]),
        ("p3", [1]),
        (None, [0, 1, 2, 3]),
    ]


@pytest.mark.parametrize(
    "page",
    [
        blocks("docs/how-to/change-a-policy.md"),
        blocks("docs/how-to/choose-how-long-an-order-waits.md"),
    ],
    ids=["policy", "patience"],
)
def test_the_commands_and_the_records_of_the_page_are_accepted(saga: Saga, page: list[str]):
    lines = [shlex.split(line) for block in page for line in block.splitlines()]
    for program, *words in lines:
        if program == "saga":
            result = saga(*words)
            # The test above left partitions that disagree, which `saga policy` tells.
            assert result.exit_code == 0 or not words[1:], result.stderr
        else:
            *command, topic, value = words
            assert (program, command) == ("faust", ["-A", "saga_app", "send"])
            record = wire.decode(value.encode())
            assert isinstance(record, PolicyChanged) and topics.topic_of(record) == topic


def test_a_sender_is_told_that_no_worker_runs(saga: Saga):
    words = "saga: no worker of the group saga runs: it waits until one is started"
    for command in (
        ("policy", "payment", "--limit", "1500"),
        ("place", "--order-id", "1", "--amount", "5"),
        ("deposit", "ada", "5"),
    ):
        result = saga(*command)
        assert result.exit_code == 0 and result.stderr.startswith(words), result.stderr
        assert len(result.stderr.splitlines()) == 1
