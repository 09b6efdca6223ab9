"""Steps of a shop's own, from the modules that `SAGA_STEPS` names: each has a `STEP` and a `RULE`.

Such a module imports `step`, `records`, `order` and `decider`, and never `route`, which imports it.
"""

from importlib import import_module
from typing import Any, Final, NamedTuple

from saga_app.core.step import Step, StepKind
from saga_app.core.step_names import OWN_MODULES, VARIABLE


class OwnStep(NamedTuple):
    """A step of a shop's own; see `participant.Rule` for its rule."""

    step: Step
    rule: Any


def _own_step(name: str, module: str) -> OwnStep:
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        raise SystemExit(
            f"saga: {VARIABLE}: there is no module {error.name}; put its folder into PYTHONPATH, or install it"
        ) from None
    step: Any = getattr(found, "STEP", None)
    rule: Any = getattr(found, "RULE", None)
    if not isinstance(step, Step) or step.name != name:
        raise SystemExit(f"saga: {VARIABLE}: {module} must have a STEP with the name {name}")
    if getattr(rule, "step", None) != step:
        raise SystemExit(f"saga: {VARIABLE}: {module} must have a RULE, whose step is its STEP")
    if getattr(rule, "balances", None) is not None:
        raise SystemExit(
            f"saga: {VARIABLE}: the RULE of {module} has balances: only steps that are built in have"
        )
    if step.kind is not StepKind.RETRIABLE and step.undo is None:
        raise SystemExit(f"saga: {VARIABLE}: the STEP of {module} is {step.kind}, so it must have an undo")
    return OwnStep(step, rule)


OWN: Final = tuple(_own_step(name, module) for name, module in OWN_MODULES.items())
