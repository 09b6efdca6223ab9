"""The ACLs that docs/how-to/secure-kafka.md lists: its table is what the tests grant."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

PAGE = Path(__file__).parent.parent.parent / "docs/how-to/secure-kafka.md"
OPERATIONS = {
    "Read": AclOperation.READ,
    "Write": AclOperation.WRITE,
    "Create": AclOperation.CREATE,
    "Describe": AclOperation.DESCRIBE,
    "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS,
    "AlterConfigs": AclOperation.ALTER_CONFIGS,
}


class Row(NamedTuple):
    """One line of the table, for one name and one operation."""

    user: str
    resource: str
    name: str
    pattern: str
    operation: str

    def binding(self, principal: str) -> AclBinding:
        """For Kafka."""
        return AclBinding(
            ResourceType[self.resource.upper()],
            self.name,
            ResourcePatternType[self.pattern.upper()],
            principal,
            "*",
            OPERATIONS[self.operation],
            AclPermissionType.ALLOW,
        )


def listed() -> Iterator[Row]:
    """Every row of the page's table."""
    lines = PAGE.read_text("utf-8").splitlines()
    start = lines.index("| user | resource | name | pattern | operations |") + 2
    for line in lines[start:]:
        if not line.startswith("|"):
            return
        user, resource, names, pattern, operations = (each.strip() for each in line.strip("|").split("|"))
        for name in names.replace("`", "").split(", "):
            for operation in operations.split(", "):
                yield Row(user, resource, name, pattern, operation)
