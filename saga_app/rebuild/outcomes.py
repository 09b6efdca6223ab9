"""The topic `order_outcomes` is mended from the rows of orders: what is missing or wrong is written anew.

Workers may go on. The outcomes are read first and the rows second, so each outcome that was read has its row; an
outcome that came meanwhile is written a second time, with the same id.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from saga_app import topics
from saga_app.audit.scratch import FOLDED, ScratchStore, Stores, side_by_side
from saga_app.core import outcome
from saga_app.core.checkout import Checkout
from saga_app.core.numbers import NEVER, Version, version_at
from saga_app.core.outcome import OutcomePut
from saga_app.core.row_keys import order_in
from saga_app.core.rows import ClosedOrder, OrderRow, decode
from saga_app.engine.stores.changelog import KafkaChangelog, leave_out
from saga_app.engine.stores.restore import repaired, restore
from saga_app.kafka import offsets
from saga_app.kafka.broker_errors import Admin
from saga_app.kafka.chunks import chunks
from saga_app.kafka.headers import headers_of
from saga_app.kafka.messages import Outgoing
from saga_app.kafka.order_outcomes import heard, outcome_record
from saga_app.kafka.signatures import Signatures
from saga_app.settings import Settings

#: The kind of scratch store that has the last record of each order: its version, and its bytes.
_SAID: Final = "said"


def differences(settings: Settings, folder: Path) -> Iterator[OutcomePut]:
    """The outcomes to write, so that the last one of each order says what its row says.

    `folder` is for rows that do not fit into memory. Raises `KafkaException`, `TimeoutError`.
    """
    with Stores(folder) as stores:
        for partition in range(settings.partitions):
            said = stores.store(_SAID, (topics.ORDER_OUTCOMES, partition))
            _read_outcomes(settings, partition, said)
            rows = stores.store(FOLDED, (Checkout.journal, partition))
            _read_rows(settings, partition, rows)
            for key, row, record in side_by_side(rows.scan(), said.scan()):
                yield from _difference(key, row, record)


def record_of(settings: Settings, put: OutcomePut) -> Outgoing:
    """The outcome as a worker writes it: in its partition, and signed if workers sign."""
    partition = topics.partition_of(put.order_id, settings.partitions)
    record = outcome_record(put)._replace(partition=partition)
    signatures = Signatures.of(settings)
    return record if signatures is None else record._replace(headers=signatures.signed(record, partition))


def _difference(key: bytes, data: bytes | None, said: bytes | None) -> Iterator[OutcomePut]:
    order_id = order_in(key) or key.decode(errors="replace")
    row = None if data is None or order_in(key) is None else decode(Checkout.journal, order_id, data)
    assert row is None or isinstance(row, OrderRow | ClosedOrder)
    version, value = (NEVER, b"") if said is None else _unpacked(said)
    wanted = () if row is None else outcome.of_row(order_id, row)
    if wanted:
        if value != outcome_record(wanted[0]).value:
            yield wanted[0]
    elif value:
        yield OutcomePut(order_id, version if row is None else row.version, None)


def _unpacked(said: bytes) -> tuple[Version, bytes]:
    version, value = said.split(b" ", 1)
    return version_at(int(version)), value


def _read_outcomes(settings: Settings, partition: int, said: ScratchStore) -> None:
    place, admin = (topics.ORDER_OUTCOMES, partition), Admin(settings)
    first, end = offsets.beginnings(admin, [place])[place], offsets.ends(admin, [place])[place]
    for chunk in chunks(settings.kafka, *place, first, end):
        last: dict[bytes, bytes] = {}
        for message in chunk:
            found = heard(message.key(), message.value(), headers_of(message))
            if found is not None:
                last[found.order_id.encode()] = b"%d %b" % (found.version, found.value or b"")
            elif key := message.key():
                # Nobody of ours wrote it, so it says nothing; and compaction may have removed what was said.
                last[key] = b"0 %b" % (message.value() or b"removed")
        said.write(last, said.reached)


def _read_rows(settings: Settings, partition: int, rows: ScratchStore) -> None:
    topic = topics.changelog(settings.app_id, Checkout.journal)
    end = offsets.ends(Admin(settings), [(topic, partition)])[topic, partition]
    restored = restore(KafkaChangelog(settings.kafka, topic, partition, end, leave_out), end, rows)
    repaired(rows, end, restored.repairs, ())
