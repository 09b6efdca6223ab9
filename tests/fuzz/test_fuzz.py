"""Every input of the corpus has an outcome, and the fuzzer finds what is wrong."""

from pathlib import Path

import pytest

from saga_app import wire
from tests.fuzz import __main__ as fuzzer
from tests.fuzz.targets import outcome_of
from tests.kafka.batches_made import batch, record
from tests.support.examples import completed

CORPUS = sorted(fuzzer.SEEDS.glob("*.batch"))


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_what_was_found_before_is_a_record_or_a_refusal(path: Path) -> None:
    assert outcome_of(path.read_bytes())


def test_a_second_of_it_finds_new_outcomes_and_no_fault(tmp_path: Path) -> None:
    tried, outcomes, failed = fuzzer.fuzz(1.0, 1, tmp_path)
    assert tried > 0 and failed == 0
    assert outcomes >= len(set(map(outcome_of, fuzzer.seeds())))


def test_an_input_that_fails_is_counted_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A positive control: no reason is as short as this."""
    monkeypatch.setattr(fuzzer, "seeds", lambda: [batch(record(0, wire.encode(completed())), 1)])
    monkeypatch.setattr(wire, "LONGEST_DETAIL", 5)
    _, _, failed = fuzzer.fuzz(1.0, 1, tmp_path)
    assert failed > 0 and list((tmp_path / "failed").glob("*.batch"))
