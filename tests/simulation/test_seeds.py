"""Seeds: a fixed number of them holds, each is the same everywhere, and one that fails is shrunk and replayed."""

import os
import subprocess
import sys

import pytest

from tests.simulation import shrink
from tests.simulation.__main__ import main
from tests.simulation.choices import Choices, Draws, choices
from tests.simulation.defects import of_rules
from tests.simulation.seeds import SeedsReport, digest, run, run_seed
from tests.support.profiles import EXPLORE

#: Seeds in parts, so that a failure is found early; `scripts/simulate --seeds N` runs more.
PART = 100
PARTS = range(0, 800 * max(1, EXPLORE), PART)
#: Seeds that `scripts/test` runs.
QUICK = 200
#: The same with providers: a seed takes three times as long.
OF_PROVIDERS = 40
MORE = pytest.mark.slow("more seeds")


@pytest.mark.parametrize(
    "first", [first if first < QUICK else pytest.param(first, marks=MORE) for first in PARTS]
)
def test_everything_holds_under_the_faults_that_a_seed_draws(first: int) -> None:
    report = SeedsReport().run(range(first, first + PART))
    broken = [f"{each.broken} (again, shrunk: scripts/simulate --seed {each.seed})" for each in report.broken]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(
    "first",
    [first if first < OF_PROVIDERS else pytest.param(first, marks=MORE) for first in range(0, 200, 40)],
)
def test_an_effect_outside_happens_once_under_the_faults_of_its_provider(first: int) -> None:
    report = SeedsReport().run(range(first, first + 40), providers=True)
    broken = [
        f"{each.broken} (again: scripts/simulate --providers --seed {each.seed})" for each in report.broken
    ]
    assert not broken, "\n".join(broken)
    counts = report.counts
    assert counts["effects"] > 30 and counts["ending COMPLETED"] and counts["ending CANCELLED"]
    assert counts["captured"] + counts["let go"]
    assert counts["step time out"] and counts["step server error"] and counts["step webhook"]


def test_the_faults_bite() -> None:
    """A simulator in which nothing goes wrong proves nothing."""
    counts = SeedsReport().run(range(200)).counts
    assert counts["without faults"] >= 20
    assert (
        counts["step kill"] and counts["step expired"] and counts["step lose"] and counts["step arrive late"]
    )
    assert counts["record repeated"] > 100 and counts["record dead"] and counts["record sent_on"]
    assert counts["ending COMPLETED"] > 20 and counts["ending CANCELLED"] > 20
    assert not counts["ending OPEN"] and not counts["ending CANCELLING"]


def test_without_faults_nobody_ends_and_nothing_is_decided_twice() -> None:
    """But where a seed lets so much time pass that a worker could not finish its round in it: that is a pause."""
    calm = 0
    for seed in range(40):
        world, broken = run(choices(seed), faults=frozenset())
        assert broken is None
        assert not {"expired", "lease lost"} & set(world.bit) or "revoke too slow" in world.bit
        if "revoke too slow" not in world.bit:
            calm += 1
            assert world.verdicts.total() == sum(map(len, world.kafka.inboxes.values()))
    assert calm >= 30


def test_a_seed_is_the_same_in_another_process_with_another_hash_seed() -> None:
    seeds = range(20, 26)
    code = (
        "from tests.simulation.seeds import digest, run; from tests.simulation.choices import choices; "
        f"print(*(digest(run(choices(seed))[0]) for seed in {seeds}))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "TZ": "Asia/Kathmandu"}
    told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    assert told.stdout.decode().split() == [digest(run(choices(seed))[0]) for seed in seeds]


def test_a_number_that_is_used_up_draws_zero() -> None:
    draws = Draws(0x0002_0001)
    assert [draws.below(10) for _ in range(4)] == [1, 2, 0, 0]


def test_choices_without_faults_and_errands_still_run() -> None:
    world, broken = run(Choices(0, (), ()))
    assert broken is None
    assert not world.fault_mix.faults


def test_a_seed_that_fails_is_shrunk_and_breaks_the_same_invariant(monkeypatch: pytest.MonkeyPatch) -> None:
    of_rules.no_tombstone(monkeypatch)
    seed = next(seed for seed in range(200) if run_seed(seed).broken)
    small = shrink.shrink(choices(seed))
    before, after = run(choices(seed))[1], run(small)[1]
    assert before and after and before.invariant == after.invariant
    assert len(small.steps) < len(choices(seed).steps) // 4
    assert len(small.customers) <= 2


def test_a_violation_is_printed_with_its_trace(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    of_rules.money_is_float(monkeypatch)
    assert main(["--seeds", "3"]) == 1
    told = capsys.readouterr().out
    assert "seed 0: I1 money" in told
    assert "again: scripts/simulate --seed 0" in told
    assert told.splitlines()[-1].endswith("3 violations")
    assert main(["--seed", "0"]) == 1
    assert "BROKEN  I1 money" in capsys.readouterr().out


def test_seeds_that_hold_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "3"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("0 violations")
    assert main(["--seed", "1"]) == 0
    assert "seed 1: everything holds" in capsys.readouterr().out
