"""The card of a table: its name, its key, and one sentence about it for people."""

from typing import NamedTuple


class TableCard(NamedTuple):
    """A table's card; `keyed_by_order` if a row lies in the partition that follows from its own key."""

    name: str
    key: str
    help: str
    keyed_by_order: bool = False
