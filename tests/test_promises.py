"""Each promise has a quick test, and each test that waits is listed with the reason."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent
TESTS: Final = sorted((ROOT / "tests").rglob("test_*.py"))
#: A mark of tests that do not run before each commit.
WAITS: Final = re.compile(r"pytest\.mark\.(slow|nightly)")
#: Promises that only running processes can keep. A test that is marked with one tries it before each commit.
PROMISES: Final = (
    "the four endings",
    "kill -9",
    "a rebalance",
    "a zombie",
    "dead letters",
    "a dead letter sent again",
    "a cancellation",
    "a stop in order",
    "an audit",
    "metrics",
    "plain Faust",
    "pages of a worker",
    "pages in a real browser",
    "both databases",
    "effects outside",
    "webhooks",
)


def marks_of_all(module: ast.Module) -> str:
    """The marks that a module puts on all its tests, as they are written."""
    return "".join(
        ast.unparse(each)
        for each in module.body
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "pytestmark"
    )


def tried() -> Iterator[str]:
    """The promises that are tried by tests that do not wait."""
    for path in TESTS:
        module = ast.parse(path.read_text("utf-8"))
        for test in module.body:
            if isinstance(test, ast.FunctionDef) and not WAITS.search(marks_of_all(module)):
                marks = [ast.unparse(each) for each in test.decorator_list]
                if not any(map(WAITS.match, marks)):
                    yield from re.findall(r"pytest\.mark\.promise\('(.+?)'\)", " ".join(marks))


def test_every_promise_is_tried_once_before_each_commit() -> None:
    assert sorted(tried()) == sorted(PROMISES)


@pytest.mark.parametrize(
    ("mark", "heading"),
    [("slow", "What waits for `scripts/test --all`"), ("nightly", "What waits for `scripts/nightly`")],
)
def test_what_waits_is_listed_with_its_reason(mark: str, heading: str) -> None:
    """In one table for each mark: files, and why some or all of their tests wait."""
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    section = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`tests/.+`) \| \S", section, re.MULTILINE)
    listed = [name for row in rows for name in re.findall(r"`(\S+)`", row)]
    marked = [path for path in TESTS if re.search(rf"\bmark\.{mark}\(\s*\"", path.read_text("utf-8"))]
    assert sorted(listed) == [str(each.relative_to(ROOT)) for each in marked]
