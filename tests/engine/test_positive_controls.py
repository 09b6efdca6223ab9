"""Positive controls: defects that we plant, each of which the property of `test_crashes` must catch.

A property that no defect can break proves nothing. Each control names the sentence of the design that it breaks.
"""

import pytest
from hypothesis import Phase, find, settings

from saga_app import topics
from saga_app.core.errors import RowsMissing
from tests.simulation.defects import Plant, of_restore, of_rounds, of_rules
from tests.support.plan import TRACES, CrashPlan, check, plans
from tests.support.profiles import examples

DEFECTS: list[Plant] = [
    of_rounds.publish_before_journal,
    of_rounds.acknowledge_before_publish,
    of_rounds.apply_before_journal,
    of_rules.a_repeat_raises_the_version,
    of_rules.a_repeat_is_not_answered,
    of_rules.a_replay_is_not_answered,
    of_rules.moves_are_applied_per_record_on_a_replay,
    of_rules.moves_are_not_applied_on_a_replay,
    of_rules.no_tombstone,
    of_rules.an_undo_is_calculated_anew,
    of_restore.the_last_write_wins_at_a_restore,
    of_restore.stale_rows_are_not_repaired,
    of_restore.reached_does_not_stop_before_a_stale_row,
    of_restore.the_disk_beats_the_changelog,
]


def is_violated(plan: CrashPlan) -> bool:
    """True if the property fails, or a worker finds that rows are missing."""
    try:
        check(plan)
    except (AssertionError, RowsMissing):
        return True
    return False


@pytest.mark.parametrize("plant", DEFECTS, ids=lambda plant: plant.__name__)
def test_a_planted_defect_is_caught(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    generate_only = settings(examples(3000), max_examples=3000, phases=[Phase.generate])
    found = next(filter(is_violated, TRACES), None)
    if found is None:
        found = find(plans(topics.PAYMENT, topics.INVENTORY), is_violated, settings=generate_only)
    monkeypatch.undo()
    assert not is_violated(found), "the plan fails without the defect too"


def test_nothing_is_caught_where_nothing_is_planted() -> None:
    assert not any(map(is_violated, TRACES))
