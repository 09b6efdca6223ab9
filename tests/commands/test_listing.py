"""Lists in every form, and lines of progress."""

import csv
import json
import sys
from collections.abc import Iterable
from typing import Any

import click
import pytest
from click.testing import CliRunner

from saga_app.commands import main
from saga_app.commands.render import progress
from saga_app.commands.render.listing import Column, Listing, show_note, show_rows
from saga_app.commands.render.output import Output, as_list
from tests.commands.terminal import Terminal

ROWS = [{"id": "a", "amount": 5, "note": None}, {"id": "b", "amount": 1_000, "note": "x\x1b[2J, y"}]
LISTING = Listing(
    (
        Column("id", lambda row, screen: row["id"]),
        Column("amount", lambda row, screen: f"{row['amount']:,}", is_right=True),
        Column("note", lambda row, screen: "" if row["note"] is None else "noted", is_wide=True),
    ),
    lambda row: row,
    lambda row: str(row["id"]),
    ("id", "amount", "note"),
    "none at all",
)


def shown(*words: str, rows: Iterable[Any] = tuple(ROWS)) -> Any:
    @click.command()
    @as_list
    def command(output: Output) -> None:
        number = show_rows(LISTING, rows, output)
        show_note(f"{number} rows", output)

    return CliRunner().invoke(command, list(words))


def test_a_table_has_a_head_and_its_note_is_not_among_the_rows():
    result = shown()
    assert result.stdout.splitlines() == ["id  amount", "a        5", "b    1,000"]
    assert result.stderr == "2 rows\n"


def test_a_wide_table_has_more_columns():
    assert shown("-o", "wide").stdout.splitlines() == [
        "id  amount  note",
        "a        5",
        "b    1,000  noted",
    ]


@pytest.mark.parametrize("words", [["--json"], ["-o", "json"], ["--output", "json"]], ids=" ".join)
def test_for_machines_each_row_is_an_object_and_stdout_has_nothing_else(words: list[str]):
    result = shown(*words)
    assert [json.loads(line) for line in result.stdout.splitlines()] == ROWS and result.stderr == ""


def test_csv_has_a_head_and_quotes_what_needs_it():
    result = shown("-o", "csv")
    assert list(csv.reader(result.stdout.splitlines())) == [
        ["id", "amount", "note"],
        ["a", "5", ""],
        ["b", "1000", "x\\x1b[2J, y"],
    ]
    assert shown("-o", "csv", rows=()).stdout == "id,amount,note\n"


def test_names_are_for_other_commands():
    assert shown("-o", "name").stdout == "a\nb\n"


def test_a_table_without_rows_says_so_and_a_list_for_machines_is_empty():
    assert shown(rows=()).stdout == "none at all\n"
    assert shown("-o", "json", rows=()).stdout == shown("-o", "name", rows=()).stdout == ""


def test_a_list_that_is_long_is_printed_as_it_comes():
    taken = []

    def rows() -> Iterable[Any]:
        for number in range(2_500):
            taken.append(number)
            yield {"id": f"{number}", "amount": number, "note": None}

    lines = shown(rows=rows()).stdout.splitlines()
    assert len(lines) == 2_501 and lines[-1].split() == ["2499", "2,499"] and len(taken) == 2_500


def test_a_terminal_shows_the_columns_of_a_pipe():
    env = {"SAGA_BROKER": "127.0.0.1:1", "NO_COLOR": "1"}
    terminal = Terminal("settings", env=env, columns=400)
    try:
        assert terminal.end() == 0
        piped = CliRunner().invoke(main, ["settings"], env=env).stdout
        assert [line.split() for line in terminal.text.splitlines()] == [
            line.split() for line in piped.splitlines()
        ]
    finally:
        terminal.close()


#: A command that works for long.
SLOW = (
    "import click, sys; from saga_app.commands.render import progress; progress.LEAST_SECONDS = 0.0; "
    "report = progress.progress_of('slow', as_json='json' in sys.argv); report('halfway'); click.echo('done')"
)


@pytest.mark.parametrize(("words", "told"), [([], True), (["json"], False)], ids=["people", "machines"])
def test_progress_is_told_on_a_terminal_and_not_to_machines(words: list[str], told: bool):
    terminal = Terminal(*words, env={}, program=[sys.executable, "-c", SLOW])
    try:
        assert terminal.end() == 0
        assert ("slow: halfway ..." in terminal.text) is told and "done" in terminal.text
    finally:
        terminal.close()


def test_progress_is_not_told_in_a_pipe_nor_of_short_work(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    progress.progress_of("quick")("all of it")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    progress.progress_of("quick")("all of it")
    assert capsys.readouterr().err == ""
