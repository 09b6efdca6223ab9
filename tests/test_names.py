"""Names and sentences of the whole project: a class name stands once, and a docstring begins with a plain sentence."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("saga_app", "agents", "tables", "tests", "bench", "harness")
#: First words of a docstring that leave the reader to find subject and verb.
RIDDLES = {"What", "Who", "Whose", "Whom", "Whether", "Those"}


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
    assert not twice


def test_a_docstring_begins_with_a_plain_sentence(modules: dict[str, ast.Module]) -> None:
    riddles = [
        f"{path}: {text.splitlines()[0]}"
        for path, module in modules.items()
        for node in ast.walk(module)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if (text := ast.get_docstring(node) or "").partition(" ")[0] in RIDDLES
    ]
    assert not riddles, "\n".join(riddles)
