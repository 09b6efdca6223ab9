"""Steps of a shop's own, outside this repository's packages, hold as built-in ones do; the examples are tried."""

import os
import re
import subprocess
import sys
from unittest.mock import Mock

import pytest

from harness.process import ROOT
from saga_app.core import checkout
from saga_app.core.numbers import Offset, Version
from saga_app.core.rows import JournalRow, State
from tests.support.own_steps import with_step


def python(name: str, *words: str, code: int = 0) -> str:
    """The output of a Python program that knows the step."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env={**os.environ, **with_step(name)},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == code, f"{words}\n{done.stdout[-3000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def test_the_tests_of_the_example_pass_without_kafka() -> None:
    assert "3 passed" in python(
        "fraud_check", "-m", "pytest", "-q", "-p", "no:cacheprovider", "examples/fraud_check"
    )


def test_its_inbox_and_its_table_follow_from_the_module() -> None:
    told = python(
        "fraud_check",
        "-c",
        "import tables; from saga_app import topics; print(*topics.INBOXES); print(tables.ALL[-1].name)",
    )
    assert "shipping_events fraud_check_events\n" in told and told.rstrip().endswith("fraud_checks")


@pytest.mark.parametrize("providers", [(), ("--providers",)], ids=["inside", "providers"])
def test_a_saga_with_an_own_step_holds_under_every_fault_that_a_seed_draws(
    providers: tuple[str, ...],
) -> None:
    told = python("fraud_check", "-m", "tests.simulation", "--seeds", "60", *providers)
    assert told.splitlines()[-1].endswith(" 0 violations")


def test_a_defect_at_the_route_of_an_order_is_caught() -> None:
    told = python("fraud_check", "-m", "tests.own_steps")
    assert "NOT CAUGHT" not in told and len(re.findall(r"^caught ", told, re.MULTILINE)) == 5
    assert re.search(r"^\d{4,} states, \d{5,} transitions: 0 violations$", told, re.MULTILINE)


@pytest.mark.slow("a minute or two of states")
def test_every_order_on_every_route_ends_in_every_sequence_of_its_records() -> None:
    assert python("fraud_check", "-m", "tests.own_steps", "--whole").rstrip().endswith("0 violations")


def test_a_worker_whose_rows_name_a_step_that_it_does_not_know_ends_with_the_name_of_the_setting() -> None:
    """A worker that knew the step wrote them: to refuse what comes to them would lose an order."""
    lacks = "fraud_check is no step; is its module in SAGA_STEPS"
    policy = JournalRow(
        Version(Offset(1)), State.DONE, "x", route=("fraud_check", "payment", "inventory", "shipping")
    )
    with pytest.raises(ValueError, match=lacks):
        checkout.route_in_force(Mock(policy=lambda: policy))
    refused = b'{"version":1,"state":"REFUSED","content":"x","reason":"declined","step":"fraud_check"}'
    with pytest.raises(ValueError, match=lacks):
        JournalRow.decode(refused)


@pytest.mark.parametrize(
    ("modules", "why"),
    [
        ("no_such_module", "there is no module no_such_module"),
        ("Fraud-Check", "small letters and underscores"),
        ("payment", "there is a step payment already"),
        ("fraud_check,fraud_check", "there is a step fraud_check already"),
        ("json", "json must have a STEP with the name json"),
    ],
)
def test_a_module_that_is_no_step_ends_the_program_with_one_sentence(modules: str, why: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import saga_app.topics"],
        cwd=ROOT,
        env={**os.environ, **with_step("fraud_check"), "SAGA_STEPS": modules},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("saga: SAGA_STEPS: ") and why in line
