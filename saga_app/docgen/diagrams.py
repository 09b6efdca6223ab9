"""Diagrams and tables of the machines, made from the machines themselves, so that documents cannot differ from them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from saga_app.core import checkout, outside, participant, refund_step, refunds
from saga_app.core.machine import DeadLettered, Transition
from saga_app.core.route import CAPTURE, DEFAULT

AnyMachine = Mapping[Any, Mapping[Any, Transition[Any, Any] | DeadLettered]]

NONE = "(none)"


def route() -> str:
    """Mermaid: an order's way forwards, and its way back."""
    lines = ["flowchart LR", "    checkout([checkout])"]
    names = ["checkout", *(step.name for step in DEFAULT)]
    for here, step in zip(names, DEFAULT, strict=False):
        lines.append(f"    {here} -- {step.do.__name__} --> {step.name}")
    lines.append(f"    {names[-1]} -- OrderCompleted --> checkout")
    for step, before in zip(reversed(DEFAULT), reversed(names[:-1]), strict=True):
        undo = (
            "OrderCancelled" if step is DEFAULT[0] else DEFAULT[DEFAULT.index(step) - 1].compensation.__name__
        )
        lines.append(f"    {step.name} -. {undo} .-> {before}")
    lines.append(f"    checkout -. {DEFAULT[-1].compensation.__name__} .-> {names[-1]}")
    return _mermaid(lines)


def kinds() -> str:
    """Markdown: the kind of each step that is built in."""
    rows = [f"| {each.name} | {each.kind} |" for each in (*DEFAULT, CAPTURE)]
    return "\n".join(["| step | kind |", "| --- | --- |", *rows])


def participant_states() -> str:
    """Mermaid: the one machine that every step runs."""
    return _states(participant.MACHINE)


def checkout_states() -> str:
    """Mermaid: an order as checkout knows it."""
    return _states(checkout.MACHINE)


def participant_table() -> str:
    """Markdown: every state and every input."""
    return _table(participant.StepInput, participant.MACHINE)


def pivot_table() -> str:
    """Markdown: the same for the pivot, the last step."""
    return _table(participant.StepInput, participant.PIVOT_MACHINE)


def outside_states() -> str:
    """Mermaid: the machine of a step whose effect is at a provider."""
    return _states(outside.MACHINE)


def outside_table() -> str:
    """Markdown: every state, and every request and answer."""
    return _table(outside.OutsideInput, outside.MACHINE)


def outside_pivot_table() -> str:
    """Markdown: the same for the pivot, where it differs."""
    differs = {
        state: cells for state, cells in outside.PIVOT_MACHINE.items() if cells != outside.MACHINE[state]
    }
    return _table(outside.OutsideInput, differs)


def retriable_table() -> str:
    """Markdown: the machine of a step behind the pivot."""
    return _table(participant.StepInput, participant.RETRIABLE_MACHINE)


def outside_retriable_table() -> str:
    """Markdown: the same where the effect is at a provider."""
    return _table(outside.OutsideInput, outside.RETRIABLE_MACHINE)


def capture_states() -> str:
    """Mermaid: a payment that is authorised, and captured behind the pivot."""
    return _states(outside.CAPTURE_MACHINE)


def capture_table() -> str:
    """Markdown: the states of such a payment that are not those of other steps."""
    differs = {
        state: cells
        for state, cells in outside.CAPTURE_MACHINE.items()
        if cells != outside.MACHINE.get(state)
    }
    return _table(outside.OutsideInput, differs)


def checkout_table() -> str:
    """Markdown: every status and every input."""
    return _table(checkout.OrderInput, checkout.MACHINE)


def refund_table() -> str:
    """Markdown: a refund at checkout."""
    return _table(refunds.RefundInput, refunds.MACHINE)


def refund_step_table() -> str:
    """Markdown: a refund at payment and at inventory."""
    return _table(refund_step.RefundStepInput, refund_step.MACHINE)


def _states(machine: AnyMachine) -> str:
    lines = ["stateDiagram-v2"]
    for state, cells in machine.items():
        for input_, cell in cells.items():
            if isinstance(cell, Transition) and cell.to not in (None, state):
                label = " / ".join(filter(None, (input_, cell.output)))
                lines.append(f"    {state or '[*]'} --> {cell.to}: {label}")
    return _mermaid(lines)


def _table(inputs: type[StrEnum], machine: AnyMachine) -> str:
    rows = [["", *inputs], ["---"] * (len(inputs) + 1)]
    rows += [
        [state or NONE, *("" if each not in cells else _cell(cells[each]) for each in inputs)]
        for state, cells in machine.items()
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(cell: Transition[Any, Any] | DeadLettered) -> str:
    if isinstance(cell, DeadLettered):
        return f"dead letter: {cell.fault}"
    parts = (f"**{cell.to}**" if cell.to else "", cell.output)
    return ", ".join(filter(None, parts)) or cell.note or "-"


def _mermaid(lines: list[str]) -> str:
    return "\n".join(["```mermaid", *lines, "```"])
