"""A changelog is compared with its witnesses: the note of the group's last commit, and the store on the disk."""

import pytest

from saga_app.core.numbers import Offset
from saga_app.engine.stores.extent import Demand, Extent, LogRange, Remedy, RowsLost, remedy

OLD, NEW = "old", "new"


def extent(reached: int, topic_id: str = NEW, first: int = 0) -> Extent:
    return Extent(topic_id, Offset(first), Offset(reached))


def log(end: int, topic_id: str = NEW, begin: int = 0) -> LogRange:
    return LogRange(topic_id, Offset(begin), Offset(end))


def demand(reached: int, topic_id: str = NEW, first: int = 0, *, is_lost: bool = False) -> Demand:
    return Demand(extent(reached, topic_id, first), is_lost)


# --- a changelog that has what was committed


def test_a_store_follows_it() -> None:
    assert remedy(log(9), demand(7), [extent(3)]) is Remedy.FOLLOW
    assert remedy(log(9), demand(7), [extent(9)]) is Remedy.FOLLOW


def test_an_empty_disk_reads_it_anew_and_so_does_one_with_rows_of_another() -> None:
    assert remedy(log(9), demand(7), []) is Remedy.ANEW
    assert remedy(log(9), demand(7), [extent(30, OLD)]) is Remedy.ANEW


def test_a_store_that_is_ahead_of_it_writes_the_rest_again() -> None:
    assert remedy(log(9), demand(7), [extent(10)]) is Remedy.WRITE_AGAIN


def test_a_store_that_was_writing_rows_again_goes_on_although_the_commit_asks_for_less() -> None:
    """A rebalance came before the group heard of it: what only this disk has is not in the changelog yet."""
    assert remedy(log(9), demand(7), [extent(9), extent(10)]) is Remedy.WRITE_AGAIN
    assert remedy(log(9), demand(7), [extent(9), extent(30, OLD)]) is Remedy.WRITE_AGAIN


def test_what_was_written_again_behind_a_new_beginning_is_whole() -> None:
    assert remedy(log(9, begin=5), demand(9, first=5), []) is Remedy.ANEW
    assert remedy(log(9, begin=5), demand(9, first=5), [extent(3)]) is Remedy.FOLLOW


# --- a changelog that has less


LESS = [
    pytest.param(log(6), demand(7), "it ends at offset 6, and rows were written up to offset 7", id="end"),
    pytest.param(log(9, begin=1), demand(7), "it begins at offset 1", id="beginning"),
    pytest.param(log(9), demand(7, OLD), "it was deleted and made again", id="topic"),
    pytest.param(log(9), demand(7, is_lost=True), "another worker was writing it again", id="under way"),
]


@pytest.mark.parametrize(("less", "wanted", "words"), LESS)
def test_without_a_disk_that_holds_all_nothing_is_decided(less: LogRange, wanted: Demand, words: str) -> None:
    for held in ([], [wanted.extent._replace(reached=Offset(6))], [extent(99, "another")]):
        with pytest.raises(RowsLost, match=words):
            remedy(less, wanted, held)


@pytest.mark.parametrize(("less", "wanted", "words"), LESS)
def test_a_disk_that_holds_all_writes_it_again(less: LogRange, wanted: Demand, words: str) -> None:
    assert remedy(less, wanted, [wanted.extent]) is Remedy.WRITE_AGAIN
    # Also after a crash on the way: then it follows the new changelog, and remembers what it holds.
    assert remedy(less, wanted, [extent(2, "latest"), wanted.extent]) is Remedy.WRITE_AGAIN


# --- nothing committed, or a commit of a version without notes


def test_a_new_application_starts() -> None:
    assert remedy(log(0), None, []) is Remedy.ANEW


def test_the_disk_alone_says_what_there_must_be() -> None:
    assert remedy(log(9), None, [extent(9)]) is Remedy.FOLLOW
    assert remedy(log(8), None, [extent(9)]) is Remedy.WRITE_AGAIN
    assert remedy(log(9), None, [extent(9, OLD)]) is Remedy.WRITE_AGAIN
    assert remedy(log(9), None, [extent(2), extent(9, OLD)]) is Remedy.WRITE_AGAIN


def test_a_changelog_whose_beginning_is_gone_is_refused_by_an_empty_disk() -> None:
    with pytest.raises(RowsLost, match="it begins at offset 4, and nobody knows the rows before it"):
        remedy(log(9, begin=4), None, [])
