"""Diagrams and tables of the machines, made from the machines themselves."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from saga_app.core import checkout, participant
from saga_app.core.checkout import Cell, Dead, Say
from saga_app.core.participant import Asked, Move
from saga_app.core.route import ROUTE

NONE = "(none)"


def route() -> str:
    """Mermaid: the route of an order, and its compensations."""
    lines = ["flowchart LR", "    checkout([checkout])"]
    names = ["checkout", *(step.name for step in ROUTE)]
    for here, step in zip(names, ROUTE, strict=False):
        lines.append(f"    {here} -- {step.do.__name__} --> {step.name}")
    lines.append(f"    {names[-1]} -- OrderCompleted --> checkout")
    for step, before in zip(reversed(ROUTE), reversed(names[:-1]), strict=True):
        undo = "OrderCancelled" if step is ROUTE[0] else ROUTE[ROUTE.index(step) - 1].undo.__name__
        lines.append(f"    {step.name} -. {undo} .-> {before}")
    lines.append(f"    checkout -. {ROUTE[-1].undo.__name__} .-> {names[-1]}")
    return _mermaid(lines)


def participant_states() -> str:
    """Mermaid: the one machine that every step runs."""
    lines = ["stateDiagram-v2"]
    for state, moves in participant.MACHINE.items():
        for asked, move in moves.items():
            if move.to is not state:
                start = "[*]" if state is None else state
                lines.append(f"    {start} --> {move.to}: {asked} / {move.answer}")
    return _mermaid(lines)


def checkout_states() -> str:
    """Mermaid: an order as checkout knows it."""
    lines = ["stateDiagram-v2"]
    for status, cells in checkout.MACHINE.items():
        for heard, cell in cells.items():
            if isinstance(cell, Cell) and cell.to is not None and cell.to is not status:
                start = "[*]" if status is None else status
                said = "" if cell.say is Say.NOTHING else f" / {cell.say}"
                lines.append(f"    {start} --> {cell.to}: {heard}{said}")
    return _mermaid(lines)


def participant_table() -> str:
    """Markdown: every state and every input of a participant."""
    return _table(list(Asked), participant.MACHINE, lambda move: _move(move))


def pivot_table() -> str:
    """Markdown: the table of the pivot, the last step."""
    return _table(list(Asked), participant.PIVOT_MACHINE, lambda move: _move(move))


def checkout_table() -> str:
    """Markdown: every status and every input of checkout."""
    return _table(list(checkout.Heard), checkout.MACHINE, _cell)


def _move(move: Move | None) -> str:
    return "" if move is None else f"**{move.to}**, {move.answer}"


def _cell(cell: Cell | Dead | None) -> str:
    if cell is None:
        return ""
    if isinstance(cell, Dead):
        return f"dead letter: {cell.fault}"
    parts = [f"**{cell.to}**" if cell.to else "", "" if cell.say is Say.NOTHING else str(cell.say)]
    return ", ".join(part for part in parts if part) or (cell.note or "-")


def _table(columns: list[Any], machine: Mapping[Any, Mapping[Any, Any]], show: Any) -> str:
    rows = [["", *map(str, columns)], ["---"] * (len(columns) + 1)]
    for state, cells in machine.items():
        name = state if isinstance(state, StrEnum) else NONE
        rows.append([str(name), *(show(cells.get(column)) for column in columns)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _mermaid(lines: list[str]) -> str:
    return "\n".join(["```mermaid", *lines, "```"])
