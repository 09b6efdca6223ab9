"""What a table is called, what its key is, and what people are told about it."""

from typing import NamedTuple


class TableCard(NamedTuple):
    """A table's card; `keyed_by_order` if a row lies in the partition that follows from its own key."""

    name: str
    key: str
    help: str
    keyed_by_order: bool = False
