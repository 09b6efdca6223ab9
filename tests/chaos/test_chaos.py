"""A short campaign against a real Kafka, and the parts of a campaign."""

import json
from itertools import islice
from pathlib import Path

import pytest

from harness.postgres import Postgres
from tests.chaos import faults, plan
from tests.chaos.__main__ import main
from tests.chaos.doors.door import ChaosDoor
from tests.chaos.injection import Injection
from tests.chaos.page import page
from tests.chaos.report import ChaosReport, breaches
from tests.chaos.steps import Hung, Steps, passing, until
from tests.orderdb.conftest import postgres

__all__ = ["postgres"]


@pytest.mark.slow("minutes of faults")
@pytest.mark.live
def test_a_short_campaign_breaks_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three workers, faults from a fixed seed until some have bitten; then everything ends and the audit holds."""
    code = main(["--kills", "4", "--seed", SEED, "--folder", str(tmp_path)])
    told = json.loads((tmp_path / "chaos.json").read_text())
    assert code == 0, f"{told['verdict']}\n{capsys.readouterr().out[-5000:]}"
    assert told["kills"] >= 4 and told["zombies"] and told["repeats"] and told["rebalances"]
    assert told["verdict"] in (tmp_path / "chaos.md").read_text()


@pytest.mark.slow("minutes of faults")
@pytest.mark.live
def test_doors_that_are_killed_lose_no_order_and_no_event(
    postgres: Postgres, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Orders over HTTP and from an outbox, outcomes to an endpoint; each of the three processes dies under load."""
    doors = ("api", "outbox", "webhooks")
    only = ",".join((*doors, "kill.kept", "zombie"))
    words = ["--kills", "6", "--seed", "1", "--rate", "10", "--only", only, "--folder", str(tmp_path)]
    code = main([*words, *(f"--{each}" for each in doors)])
    told = json.loads((tmp_path / "chaos.json").read_text())
    assert code == 0, f"{told['verdict']}\n{capsys.readouterr().out[-5000:]}"
    assert all(told["bit"].get(f"{each}.kill") for each in doors), told["missed"]
    own = {each["invariant"]: each for each in told["invariants"]}
    assert all(own[number]["figures"]["came through"] for number in ("D1", "D2", "D3"))


#: Stops, kills, zombies, and faults of the line and the disk are among its first ten.
SEED = "16"


def test_a_door_is_killed_only_in_a_run_that_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "1", "--plan", "--only", "api", "--api"]) == 0
    assert "api.kill" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--seed", "1", "--plan", "--only", "api"])
    assert "a fault of api wants --api" in capsys.readouterr().err


class DoorOfWords(ChaosDoor):
    """A door without a process, which broke its word so often."""

    name = "words"
    promise = ("D0", "words")
    done, is_busy, is_quiet = 7, False, True

    def __init__(self, broken: int) -> None:
        self._broken = broken

    def breaches(self) -> list[str]:
        return [f"word {number}" for number in range(self._broken)]

    def open(self) -> None:
        pass

    def close_load(self) -> None:
        pass


def test_a_door_that_broke_its_word_is_a_violation_like_one_of_the_audit() -> None:
    told = [DoorOfWords(0).invariant(), DoorOfWords(9).invariant()]
    assert breaches(told) == [f"D0 words: word {number}" for number in range(3)]
    report = ChaosReport("scripts/chaos", "1", 3, 3, 30, invariants=told)
    assert "| D0 words | 9 |  |" in page(report)


def test_the_same_seed_draws_the_same_plan() -> None:
    def drawn(seed: str) -> list[tuple[str, float]]:
        return [
            (str(strike), strike.chance.random()) for strike in islice(plan.draw(seed, faults.ALL, 3), 100)
        ]

    assert drawn("1") == drawn("1") != drawn("2")


def test_every_fault_is_drawn_as_often_as_its_weight_says() -> None:
    deck = sum(fault.weight for fault in faults.ALL)
    names = [strike.fault.name for strike in islice(plan.draw("1", faults.ALL, 2), 3 * deck)]
    assert all(names.count(fault.name) == 3 * fault.weight for fault in faults.ALL)


def test_a_family_is_chosen_by_its_name_and_a_fault_by_its_own() -> None:
    assert [fault.name for fault in faults.chosen(["zombie", "disk"])] == [
        "zombie",
        "disk.flip",
        "disk.cut",
        "disk.current",
    ]
    with pytest.raises(ValueError, match="no fault is called 'kil'"):
        faults.chosen(["kil"])


@pytest.mark.parametrize(
    ("injection", "why"),
    [
        (Injection("kill.kept", "w1", frozenset({"o"}), 5, 20), ""),
        (Injection("kill.kept", "w1", frozenset(), 5, 20), "no order was open"),
        (
            Injection("kill.kept", "w1", frozenset({"o"}), 0, 20),
            "no order had ended since its victim was ready",
        ),
        (Injection("kill.kept", "w1", frozenset({"o"}), 5, 30), "no order ended after it"),
        (
            Injection("zombie", "w1", frozenset({"o"}), 5, 20, why_not="nobody had taken over"),
            "nobody had taken over",
        ),
    ],
)
def test_a_fault_counts_only_with_work_in_flight_before_and_after(injection: Injection, why: str) -> None:
    assert injection.why_missed(ended_at_end=30) == why


def test_a_run_without_bite_is_invalid_and_a_violation_is_worse() -> None:
    """Exit codes 2 and 1, each with one line that says why."""
    told = ChaosReport("scripts/chaos", "1", 3, 3, 30)
    assert (told.code, told.verdict) == (
        2,
        "INVALID: no fault hit while work was in flight; this run proves nothing",
    )
    told.bit = {"kill.kept": 1}
    assert "nothing was sent a second time" in told.verdict
    told.repeats = 1
    assert "there was no rebalance" in told.verdict
    told.rebalances = 1
    assert told.code == 0
    told.violations = ["I1 money: gone"]
    assert (told.code, told.verdict) == (1, "VIOLATED: I1 money: gone")


def test_faults_wait_side_by_side_and_not_for_ever() -> None:
    """A step that must come to an end is a violation when it does not."""

    def fault() -> Steps:
        yield from passing(0)
        yield from until(lambda: False, 0, "the impossible")

    with pytest.raises(Hung, match="not within 0 s: the impossible"):
        list(fault())


def test_a_fault_draws_from_a_chance_of_its_own() -> None:
    """So what one fault does changes nothing in the plan."""
    first, second = islice(plan.draw("1", faults.ALL, 3), 2)
    assert first.chance is not second.chance
