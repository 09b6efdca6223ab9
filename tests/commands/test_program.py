"""The command `saga` itself: its list, its hints, and what it does not load."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from saga_app import unknown_settings
from saga_app.commands import main
from saga_app.commands.index import ENTRIES, GROUPS
from tests.commands.terminal import PROGRAM, Terminal

#: Modules of ours that the list of the commands needs.
MOST_OWN_MODULES = 12


def test_the_list_of_the_commands_loads_a_handful_of_modules_and_no_client():
    """That is what takes time; how long it takes depends on the machine."""
    program = (
        "import json, sys; before = set(sys.modules); from saga_app.commands import main; "
        "main(['--help'], standalone_mode=False); "
        "print('LOADED', json.dumps(sorted(sys.modules.keys() - before)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = json.loads(done.stdout.rpartition("LOADED")[2])
    own = [name for name in loaded if name.partition(".")[0] in ("saga_app", "agents", "tables")]
    assert len(own) <= MOST_OWN_MODULES, own
    heavy = {"pydantic", "confluent_kafka", "aiokafka", "faust", "sqlalchemy", "asyncio", "rich"}
    assert not heavy & {name.partition(".")[0] for name in loaded}


@pytest.mark.parametrize("name", ENTRIES)
def test_the_list_has_the_first_sentence_of_each_command(name: str):
    command = main.get_command(click.Context(main), name)
    assert command is not None and command.help is not None
    assert " ".join(command.help.split("\n\n")[0].split()) == ENTRIES[name].help


def test_the_list_is_grouped_and_no_sentence_is_cut():
    text = " ".join(CliRunner().invoke(main, ["--help"]).stdout.split())
    assert all(f"{group}:" in text for group in GROUPS)
    assert all(entry.help in text for entry in ENTRIES.values()) and "..." not in text.partition("Orders:")[2]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("ordrs", "there is no command 'ordrs'; did you mean orders"),
        ("orderdb chek", "there is no command 'chek'; did you mean check?"),
        ("policy paymnt", "did you mean payment?"),
        ("orders --stat OPEN", "--stat"),
        ("xyzzy", "there is no command 'xyzzy' (see"),
    ],
)
def test_a_command_that_is_not_there_is_answered_with_the_nearest(words: str, hint: str):
    result = CliRunner().invoke(main, words.split())
    assert result.exit_code == 2 and hint in result.stderr and result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("SAGA_BROKERS", "SAGA_BROKERS is no setting and has no effect; did you mean SAGA_BROKER?"),
        ("SAGA_XYZZY", "SAGA_XYZZY is no setting and has no effect; `saga settings` lists all"),
    ],
)
def test_a_variable_that_nothing_reads_is_told_with_the_nearest_setting(name: str, hint: str):
    result = CliRunner().invoke(main, ["settings"], env={name: "1"})
    assert result.exit_code == 0 and f"saga: {hint}" in result.stderr.splitlines()


def test_settings_and_the_variables_of_tools_are_no_typing_errors():
    names = ("SAGA_BROKER", "SAGA_SASL_PASSWORD_FILE", *unknown_settings.OF_TOOLS, "PATH")
    assert unknown_settings.unknown_settings(names) == []


@pytest.mark.parametrize("words", [["--help"], ["settings"], ["settings", "-o", "csv"]], ids=" ".join)
def test_a_reader_that_has_read_enough_is_no_error(words: list[str]):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*PROGRAM, *words], stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(("no_color", "is_painted"), [("", True), ("1", False)])
def test_the_doctor_paints_its_marks_on_a_terminal_unless_it_must_not(
    no_color: str, is_painted: bool, tmp_path: Path
):
    env = {"SAGA_BROKER": "127.0.0.1:1", "SAGA_DATA_DIR": str(tmp_path), "NO_COLOR": no_color}
    terminal = Terminal("doctor", env=env, columns=200)
    try:
        assert terminal.end() == 1
        assert ("\x1b[32mok" in terminal.text, "\x1b[31mPROBLEM" in terminal.text) == (is_painted, is_painted)
    finally:
        terminal.close()


def test_the_doctor_paints_nothing_in_a_pipe(tmp_path: Path):
    result = CliRunner().invoke(
        main, ["doctor"], env={"SAGA_BROKER": "127.0.0.1:1", "SAGA_DATA_DIR": str(tmp_path)}
    )
    assert "PROBLEM" in result.stdout and "\x1b" not in result.stdout
