"""A measurement waits for a quiet machine, for a bounded time, and says so."""

from collections.abc import Iterable

from bench.quiet import QuietGate


def gate(shares: Iterable[float], patience: float = 3) -> tuple[QuietGate, list[str]]:
    """A gate on a machine that is busy with these shares, second by second, and what it says."""
    said: list[str] = []
    ticks = [(0, 0)]
    for share in shares:
        ticks.append((ticks[-1][0] + round(share * 200), ticks[-1][1] + 200))
    looks = iter(ticks)
    return QuietGate(said.append, patience, lambda: next(looks), lambda seconds: None), said


def test_on_a_quiet_machine_it_says_nothing() -> None:
    found, said = gate([0.05])
    found.wait()
    assert said == []


def test_it_waits_until_others_use_less_than_a_tenth() -> None:
    found, said = gate([0.5, 0.6, 0.09])
    found.wait()
    assert said == ["waits until other programs use less than 10% of the processors; they use 50%"]


def test_all_measurements_share_its_patience() -> None:
    found, said = gate([0.5, 0.05, 0.0, 0.5, 0.6])
    found.wait()
    found.wait()
    assert said[1:] == [
        "waits until other programs use less than 10% of the processors; they use 50%",
        "goes on beside other programs, which use 60%: the figures are worth little",
    ]
    found.wait()
    assert len(said) == 3, "it never waits again"


def test_it_reads_the_ticks_of_this_machine() -> None:
    said: list[str] = []
    QuietGate(said.append, patience=1, pause=lambda seconds: None).wait()
    assert len(said) <= 1
