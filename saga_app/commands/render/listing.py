"""A list in every form: as a table, with more columns, as JSON, as CSV, or as names."""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, count, islice
from typing import Any, Final, NamedTuple

import click

from saga_app.commands.render.output import Output, print_lines, show
from saga_app.commands.render.terminal import Screen, table
from saga_app.text import printable

#: Rows of a long list whose columns get their width together.
_TOGETHER: Final = 1_000


class Column(NamedTuple):
    """A column of a table: its head, and the printable text of a row. A wide one is there only if it is asked for."""

    head: str
    text: Callable[[Any, Screen], str]
    is_right: bool = False
    is_wide: bool = False


class Listing(NamedTuple):
    """A kind of list: its columns, a row for machines, and the name of a row, which commands take as an argument.

    `fields` are the keys for machines that CSV has, in order; `none` are the words for a list without rows.
    """

    columns: Sequence[Column]
    machine: Callable[[Any], Mapping[str, Any]]
    name: Callable[[Any], str]
    fields: Sequence[str]
    none: str


def show_rows(listing: Listing, rows: Iterable[Any], output: Output) -> int:
    """Prints the rows as they come, with the same columns in a pipe and on a terminal; returns their number."""
    counter = count()
    rows = (row for row, _ in zip(rows, counter, strict=False))
    match output:
        case Output.JSON:
            for row in rows:
                show(dict(listing.machine(row)), "", as_json=True)
        case Output.NAME:
            print_lines(printable(listing.name(row)) for row in rows)
        case Output.CSV:
            _csv(listing, rows)
        case _:
            print_lines(_table(listing, rows, wide=output == Output.WIDE))
    return next(counter)


def show_note(words: str, output: Output) -> None:
    """Prints a line about the list behind its table, on stderr: stdout has rows alone."""
    if output in (Output.TABLE, Output.WIDE):
        click.echo(words, err=True)


def _csv(listing: Listing, rows: Iterable[Any]) -> None:
    writer = csv.writer(_StdoutFile(), lineterminator="\n")
    writer.writerow(listing.fields)
    for row in rows:
        machine = listing.machine(row)
        writer.writerow(_field(machine.get(field)) for field in listing.fields)


def _field(value: Any) -> str:
    match value:
        case None:
            return ""
        case list() | tuple():
            return printable("; ".join(map(str, value)))
    return printable(str(value))


class _StdoutFile:
    """A file for `csv` that prints as all commands do."""

    def write(self, line: str) -> None:
        click.echo(line, nl=False)


def _table(listing: Listing, rows: Iterator[Any], *, wide: bool) -> Iterator[str]:
    screen = Screen.of_output()
    columns = [column for column in listing.columns if wide or not column.is_wide]
    heads = [column.head for column in columns]
    at_right = [column.head for column in columns if column.is_right]
    first = next(rows, None)
    if first is None:
        yield listing.none
        return
    rows = chain((first,), rows)
    is_first = True
    while part := [[column.text(row, screen) for column in columns] for row in islice(rows, _TOGETHER)]:
        lines = table(screen, heads, part, at_right)
        yield from lines if is_first else islice(lines, 1, None)
        is_first = False
