"""Each exit code has a cause, a remedy, and its line in the reference."""

import re

import pytest

from saga_app.commands.exit_codes import CommandExit
from saga_app.commands.render import output
from saga_app.engine.exit_codes import OF_WORKERS, Exit, ExitCode, OtherExit, meaning
from tests.support.blocks import ROOT

CODES = [each for kind in (*OF_WORKERS, CommandExit) for each in kind]
PAGE = (ROOT / "docs/reference/exit-codes.md").read_text("utf-8")


@pytest.mark.parametrize("code", CODES, ids=lambda each: f"{each.value} {each.name}")
def test_an_exit_code_says_its_cause_and_what_to_do(code: ExitCode):
    for text in (code.cause, code.remedy):
        assert re.fullmatch(r"[A-Z`].{6,}\.", text), "give it a sentence of cause and one of remedy"
    # It stands in a row of a table.
    assert "|" not in code.cause + code.remedy and "\n" not in code.cause + code.remedy
    assert f"| {code.value} | `{code.name}` | {code.cause} | " in PAGE


def test_codes_of_workers_are_their_own():
    values = [each.value for kind in OF_WORKERS for each in kind]
    assert len(values) == len(set(values))
    # Of 1 and 2 shells, Python and Faust make use; above 128 stand signals.
    assert all(64 <= each < 128 for each in Exit)


def test_every_exit_code_that_commands_use_is_documented():
    used = {
        name: value
        for name, value in vars(output).items()
        if name.isupper() and isinstance(value, int) and not name.startswith("_")
    }
    assert {"FAILED", "WRONG_INPUT"} <= used.keys()
    assert not [name for name, value in used.items() if value not in list(CommandExit)]


def test_a_signal_has_the_same_meaning_for_a_shell_and_for_subprocess():
    assert meaning(-9, OF_WORKERS) is meaning(137, OF_WORKERS) is OtherExit.KILLED
    assert meaning(82, OF_WORKERS) is Exit.LATE_WRITES
    assert meaning(99, OF_WORKERS) is None


def test_the_page_makes_links_of_the_documents_that_a_remedy_names():
    assert "follow [keep-topics-small](" in PAGE
