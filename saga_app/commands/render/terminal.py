"""Output on a terminal has colours and fits the width; in a pipe it is plain."""

import os
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, Self

import click

from saga_app.core.labels import ASCII_SHAPES, SHAPES
from saga_app.core.rows import State, Status
from saga_app.text import printable

#: The colour of each state.
_COLOURS: Final[Mapping[str | None, str]] = {
    Status.OPEN: "cyan",
    Status.CANCELLING: "yellow",
    Status.COMPLETED: "green",
    Status.CANCELLED: "red",
    State.DOING: "cyan",
    State.PREVENTING: "yellow",
    State.UNDOING: "yellow",
    State.CAPTURING: "cyan",
    State.DONE: "green",
    State.CAPTURED: "green",
    State.REFUSED: "red",
    State.UNDONE: "yellow",
}


class Screen(NamedTuple):
    """The output device. `width` is in columns; None if lines may have any length."""

    width: int | None = None
    colours: bool = False
    ascii: bool = False

    @classmethod
    def of_output(cls) -> Self:
        """Standard output. NO_COLOR (no-color.org) and TERM=dumb switch colours off."""
        is_terminal = sys.stdout.isatty()
        colours = is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        return cls(shutil.get_terminal_size().columns if is_terminal else None, colours, not _has_marks())

    def mark(self, state: str | None) -> str:
        """A state's shape, in its colour."""
        return self.paint(self.shape(state), fg=_COLOURS.get(state))

    def shape(self, state: str | None) -> str:
        """A state's shape, without colour."""
        return ASCII_SHAPES[state] if self.ascii else SHAPES[state]

    def colour(self, state: str | None) -> str | None:
        """A state's colour; None without colours."""
        return _COLOURS.get(state) if self.colours else None

    def verdict(self, text: str, *, is_well: bool) -> str:
        """The result of a check, in its colour."""
        return self.paint(text, fg="green" if is_well else "red")

    def state(self, state: str) -> str:
        """A state as shape and word."""
        return f"{self.mark(state)} {self.paint(state, fg=_COLOURS.get(state), bold=True)}"

    def paint(self, text: str, fg: str | None = None, *, bold: bool = False, dim: bool = False) -> str:
        """Text in a colour, if there are colours."""
        if not self.colours or not (fg or bold or dim):
            return text
        return click.style(text, fg=fg, bold=bold or None, dim=dim or None)

    def wrapped(self, text: str, indent: int = 0) -> list[str]:
        """Printable text in lines that fit. All but the first are indented, less if the terminal is narrow."""
        text = printable(text)
        if self.width is None or cells(text) <= self.width:
            return [text]
        width = max(self.width, 20)
        return textwrap.wrap(text, width, subsequent_indent=" " * min(indent, width // 3)) or [text]


def _has_marks() -> bool:
    try:
        "".join(SHAPES.values()).encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def cells(text: str) -> int:
    """The number of columns that a text takes; colours take none."""
    return sum(1 + (unicodedata.east_asian_width(each) in "WF") for each in click.unstyle(text))


def padded(text: str, width: int, *, right: bool = False) -> str:
    """Text, padded to so many columns."""
    space = " " * max(0, width - cells(text))
    return space + text if right else text + space


def table(
    screen: Screen, names: Sequence[str], rows: Iterable[Sequence[str]], right: Collection[str] = ()
) -> Iterator[str]:
    """Lines of a table with its head; the columns in `right` are aligned right. A table too wide is stacked."""
    body = [list(row) for row in rows]
    widths = [max(cells(row[at]) for row in (list(names), *body)) for at in range(len(names))]
    if screen.width is not None and sum(widths) + 2 * (len(widths) - 1) > screen.width:
        yield from _stacked(screen, names, body)
        return
    at_right = [name in right for name in names]
    head = [screen.paint(each, dim=True) for each in names]
    for row in (head, *body):
        fields = zip(row, widths, at_right, strict=True)
        yield "  ".join(padded(text, width, right=last) for text, width, last in fields).rstrip()


def _stacked(screen: Screen, names: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    longest = max(map(cells, names))
    for row in rows:
        yield row[0]
        for name, text in list(zip(names, row, strict=True))[1:]:
            line = f"  {screen.paint(padded(name, longest), dim=True)}  {text}"
            if text and cells(line) <= (screen.width or cells(line)):
                yield line
            elif text:
                yield f"  {screen.paint(name, dim=True)}"
                yield from screen.wrapped(f"    {click.unstyle(text)}", 4)
