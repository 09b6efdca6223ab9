"""Changelogs that are made anew with less than there was."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest

from saga_app.engine.ports import Store
from saga_app.kafka.messages import Message, Outgoing, Place
from saga_app.rebuild.fold import Folded, fold_records
from saga_app.rebuild.write import rebuilt_records
from tests.simulation import faults
from tests.simulation.services import BALANCES


def the_last_committed_record_is_not_folded(patch: pytest.MonkeyPatch) -> None:
    """A rebuild decides every record below the committed offset."""

    def fold(
        place: Place, partitions: int, tables: Mapping[str, Store], records: Iterable[Message], *ends: Any
    ) -> Folded:
        return fold_records(place, partitions, tables, list(records)[:-1], *ends)

    patch.setattr(faults, "fold_records", fold)


def balances_are_not_rebuilt(patch: pytest.MonkeyPatch) -> None:
    """A rebuild writes the rows of every table."""

    def written(rows: Any, changelog: str, partition: int, *, marked: bool) -> Iterator[Outgoing]:
        is_balance = any(changelog.startswith(table) for table in BALANCES)
        return rebuilt_records([] if is_balance else rows, changelog, partition, marked=marked)

    patch.setattr(faults, "rebuilt_records", written)
