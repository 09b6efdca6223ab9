"""Rows that were made for another number of partitions are found before anything is decided."""

from saga_app import topics
from saga_app.engine.stores.placement import misplaced, owner_of_balance, owner_of_order

CUSTOMERS = [f"C{number}" for number in range(20)]


def in_partition(partition: int, partitions: int, unit: str = "") -> list[tuple[bytes, bytes]]:
    """The rows that a worker with so many partitions wrote there."""
    return [
        (f"{each}{unit}".encode(), b"{}")
        for each in CUSTOMERS
        if topics.partition_of(each, partitions) == partition
    ]


def test_rows_in_the_partition_of_their_key_are_in_place() -> None:
    for partition in range(3):
        assert misplaced(in_partition(partition, 3, ":GBP"), owner_of_balance, partition, 3) is None
        assert misplaced(in_partition(partition, 3), owner_of_order, partition, 3) is None


def test_a_row_that_another_number_of_partitions_put_there_is_named() -> None:
    wrong = [misplaced(in_partition(each, 3, ":GBP"), owner_of_balance, each, 4) for each in range(3)]
    assert all(wrong)
    assert "the row of C" in str(wrong[0]) and "of 4" in str(wrong[0])


def test_rows_that_are_no_orders_have_no_place_of_their_own() -> None:
    """Such as policies and segments, of which each partition has some."""
    rows = [(b"policy:1", b"{}"), (b"segment:0:1", b"{}"), (b"low_watermark:1", b"{}")]
    assert misplaced(rows, owner_of_order, 1, 3) is None
