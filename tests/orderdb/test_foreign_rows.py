"""A row that no database takes is left out, before it can stop the copy of all others."""

import pytest

from saga_app.orderdb import schema
from saga_app.orderdb.copy.batch import UNREADABLE, RowBatch
from saga_app.orderdb.copy.table_rows import TABLES
from tests.orderdb.batches import FakeMessage

ORDER = (
    b'{"version":1,"status":"OPEN","placed_at":1,"tries":%s,"since":1,"order":{"order_id":%s,"currency":"GBP",'
    b'"amount":"1.00","warehouse":"main","lines":[{"sku":"MUG","quantity":%s}]}}'
)


def test_a_row_of_ours_is_taken() -> None:
    batch = RowBatch()
    TABLES["orders"](batch, FakeMessage("saga-orders-changelog", 0, ORDER % (b"0", b'"o1"', b"2"), b"o1"))
    assert batch.placed == {"o1"} and len(batch.tables[schema.order_lines]) == 1


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        ("accounts", b"c1:GBP", b'{"version":99999999999999999999,"deposited":"1","balance":"1"}'),
        ("accounts", b"c1:GBP", b'{"version":"1","deposited":"1","balance":"1"}'),
        ("accounts", b"c1:GBP", b'{"version":1,"deposited":"1","balance":"NaN"}'),
        ("accounts", b"%s:GBP" % (b"c" * 65), b'{"version":1,"deposited":"1","balance":"1"}'),
        ("accounts", b"c\0:GBP", b'{"version":1,"deposited":"1","balance":"1"}'),
        ("stock", b"main:MUG", b'{"version":1,"received":1,"available":1.5}'),
        ("stock", b"main:MUG", b'{"version":1,"received":1,"available":null}'),
        ("orders", b"o1", ORDER % (b"99999999999", b'"o1"', b"2")),
        ("orders", b"o1", ORDER % (b"0", b"7", b"2")),
        ("orders", b"o1", ORDER % (b"0", b'"o1"', b"99999999999999999999")),
    ],
)
def test_a_row_that_no_database_takes_is_left_out(table: str, key: bytes, value: bytes) -> None:
    batch = RowBatch()
    with pytest.raises(UNREADABLE):
        TABLES[table](batch, FakeMessage(f"saga-{table}-changelog", 0, value, key))
    assert (len(batch), batch.placed) == (0, set())
