"""Names and sentences of the whole project: a class name stands once, and a docstring begins with a plain sentence."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("saga_app", "agents", "tables", "tests", "bench")
#: Class names that still stand twice. Only shorten this list: rename a class, then take its name out.
STILL_TWICE = frozenset(
    (
        "Answer",
        "Asked",
        "Bad",
        "Balance",
        "Broker",
        "Changelog",
        "Choice",
        "Dead",
        "Died",
        "Disk",
        "Done",
        "Ended",
        "Engine",
        "Failed",
        "Fault",
        "Found",
        "Group",
        "History",
        "Inbox",
        "InboxBuffer",
        "Ledger",
        "Life",
        "Line",
        "Load",
        "Log",
        "Logged",
        "Member",
        "Message",
        "Origin",
        "Outcome",
        "Part",
        "Plan",
        "Process",
        "Read",
        "Refold",
        "Report",
        "Rows",
        "Running",
        "Scope",
        "Sent",
        "Shop",
        "Span",
        "State",
        "Step",
        "StepRequest",
        "Stop",
        "Store",
        "Tables",
        "Told",
        "Watch",
        "Worker",
        "World",
    )
)
#: First words of a docstring that leave the reader to find subject and verb.
RIDDLES = {"What", "Who", "Whose", "Whom", "Whether", "Those"}
#: Folders with such docstrings. Only shorten this list: rewrite a folder's docstrings, then take it out.
STILL_RIDDLES = frozenset(
    (
        "bench",
        "bench/peers",
        "saga_app/audit",
        "saga_app/audit/checkpoints",
        "saga_app/audit/checks",
        "saga_app/audit/history",
        "saga_app/core",
        "saga_app/core/retention",
        "saga_app/dead_letters",
        "saga_app/engine",
        "saga_app/engine/faust",
        "saga_app/engine/stores",
        "saga_app/orderdb",
        "saga_app/orderdb/copy",
        "saga_app/orderdb/migrations/versions",
        "saga_app/orderdb/present",
        "saga_app/orderdb/queries",
        "saga_app/orderdb/traces",
        "tables",
        "tests",
        "tests/audit",
        "tests/bench",
        "tests/cancelling",
        "tests/chaos",
        "tests/chaos/faults",
        "tests/core",
        "tests/engine",
        "tests/engine/faust",
        "tests/engine/stores",
        "tests/live",
        "tests/orderdb",
        "tests/simulation",
        "tests/simulation/defects",
        "tests/support",
    )
)


@pytest.fixture(scope="module")
def modules() -> dict[str, ast.Module]:
    """By path from the root, the syntax tree of every module."""
    paths = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8")) for path in paths}


def test_a_class_name_stands_once(modules: dict[str, ast.Module]) -> None:
    places = defaultdict(list)
    for path, module in modules.items():
        for node in module.body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(path)
    twice = {name: paths for name, paths in places.items() if len(paths) > 1}
    assert not twice.keys() - STILL_TWICE, {name: twice[name] for name in twice.keys() - STILL_TWICE}
    assert not STILL_TWICE - twice.keys(), "these stand once now: take them out of STILL_TWICE"


def test_a_docstring_begins_with_a_plain_sentence(modules: dict[str, ast.Module]) -> None:
    riddles = defaultdict(list)
    for path, module in modules.items():
        for node in ast.walk(module):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node) or ""
                if text.partition(" ")[0] in RIDDLES:
                    riddles[path.rpartition("/")[0]].append(f"{path}: {text.splitlines()[0]}")
    found = [line for folder, lines in riddles.items() if folder not in STILL_RIDDLES for line in lines]
    assert not found, "\n".join(found)
    assert not STILL_RIDDLES - riddles.keys(), "these folders have none now: take them out of STILL_RIDDLES"
