"""A position passes only what is settled, in whatever sequence that happens."""

from saga_app.webhooks.window import MOST_OPEN, Window


def test_the_position_stops_before_the_first_that_is_not_settled():
    window = Window()
    window.begin(0, 10)
    assert all(window.read(0, each) for each in (10, 11, 14))
    window.settle(0, 14)
    window.settle(0, 11)
    assert window.positions() == {0: 10}
    window.settle(0, 10)
    assert window.positions() == {0: 15} and window.open == 0


def test_an_outcome_that_is_read_twice_or_is_not_ours_is_left_out():
    window = Window()
    window.begin(0, 10)
    assert window.read(0, 10) and not window.read(0, 10) and not window.read(0, 9) and not window.read(1, 10)
    window.settle(0, 10)
    window.settle(0, 10)
    assert window.open == 0 and window.positions() == {0: 11} and not window.read(0, 10)


def test_a_partition_that_is_given_up_counts_no_more():
    window = Window()
    window.begin(0, 0)
    window.begin(1, 5)
    window.read(0, 0)
    window.end(0)
    window.settle(0, 0)
    assert window.positions() == {1: 5} and window.open == 0 and window.partitions == {1}


def test_a_partition_that_comes_back_begins_anew():
    window = Window()
    window.begin(0, 0)
    window.read(0, 0)
    window.begin(0, 0)
    assert window.open == 0 and window.read(0, 0)


def test_it_is_full_when_so_many_are_open():
    window = Window()
    window.begin(0, 0)
    for offset in range(MOST_OPEN):
        assert not window.is_full
        window.read(0, offset)
    assert window.is_full
    window.settle(0, 7)
    assert not window.is_full
