"""The questions about a consumer group go ways on which librdkafka cannot end the process."""

import ast
from pathlib import Path

import saga_app

#: The requests of librdkafka's admin client to a group's coordinator (docs/reference/faust.md, k11).
FATAL = {
    "alter_consumer_group_offsets",
    "delete_consumer_groups",
    "describe_consumer_groups",
    "list_consumer_group_offsets",
}
#: aiokafka's client has a method of the same name.
WITH_AIOKAFKA = "kafka/commit_notes.py"


def test_nobody_asks_a_groups_coordinator_through_librdkafkas_admin_client() -> None:
    folder = Path(saga_app.__file__).parent
    found = {
        f"{path.relative_to(folder)}:{node.lineno}"
        for path in folder.rglob("*.py")
        if path != folder / WITH_AIOKAFKA
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in FATAL
    }
    assert not found
