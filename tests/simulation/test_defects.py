"""Each planted defect is caught in a small budget; the same check holds without the defect."""

import pytest

from tests.simulation.choices import choices
from tests.simulation.defects import CONTROLS, Control, of_rules
from tests.simulation.seeds import run

#: Those that a seed finds are found within a second, those that a history must find are not.
EXHAUSTIVE = pytest.mark.slow("every end of every worker in a history")
LONG = pytest.mark.nightly("a minute of seeds until one finds it")
#: Those for which most seeds are needed.
RARE = (
    "a_key_is_used_for_a_later_order",
    "a_rejected_eviction_is_applied_later",
)


def _marks(control: Control) -> list[pytest.MarkDecorator]:
    return [LONG] if control.name in RARE else [EXHAUSTIVE] if control.history else []


@pytest.mark.parametrize(
    "control",
    [pytest.param(each, marks=_marks(each)) for each in CONTROLS],
    ids=lambda control: control.name,
)
def test_a_planted_defect_is_caught(control: Control) -> None:
    with pytest.MonkeyPatch.context() as patch:
        control.plant(patch)
        caught = next((each for each in control.hunt() if each() is not None), None)
    assert caught is not None, f"nobody noticed: {control.plant.__doc__}"
    assert caught() is None, "it breaks without the defect too"


def test_without_lost_step_requests_a_worker_that_skips_repeats_looks_right() -> None:
    """Why step requests get lost here, although Kafka does not lose what it acknowledged."""
    gentle = frozenset({"repeat", "cancel", "wrong partition"})
    with pytest.MonkeyPatch.context() as patch:
        of_rules.a_repeat_is_not_answered(patch)
        assert not [seed for seed in range(100) if run(choices(seed), faults=gentle)[1]]
        assert [seed for seed in range(100) if run(choices(seed), faults=gentle | {"lose"})[1]]


def test_there_are_enough_of_them() -> None:
    names = {control.name for control in CONTROLS}
    assert len(names) == len(CONTROLS) >= 16 and {*RARE} <= names
