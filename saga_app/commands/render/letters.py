"""Dead letters: the columns of their list, and one of them whole."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import click

from saga_app.commands.letter_options import must_exist
from saga_app.commands.render.listing import Column, Listing
from saga_app.commands.render.output import show
from saga_app.dead_letters import pretty
from saga_app.dead_letters.filters import LetterFilter
from saga_app.dead_letters.format import LetterId
from saga_app.dead_letters.letter import Letter, Settlement, text
from saga_app.text import printable
from saga_app.times import written

Settlements = Mapping[LetterId, list[Settlement]]


class SettledLetter(NamedTuple):
    """A letter, and how all letters were settled."""

    letter: Letter
    settlements: Settlements

    @property
    def settled(self) -> list[Settlement]:
        """How this one was settled, in the order in which that happened; empty if it was not."""
        return self.settlements.get(self.letter.id, [])

    @property
    def detail(self) -> str:
        """The detail, and what has become of the letter."""
        letter, done = self.letter, self.settled
        remarks = [f"replay of {letter.replay_of}"] if letter.replay_of else []
        replays = sum(each.note is None for each in done)
        if replays:
            remarks.append("replayed" + (f" {replays} times" if replays > 1 else ""))
        remarks += [f"dismissed: {each.note}" for each in done if each.note is not None]
        return "".join((letter.detail[:120], *(f" [{each}]" for each in remarks)))


def _time(milliseconds: int) -> str:
    return written(milliseconds)[:19].replace("T", " ")


LETTERS: Final = Listing(
    (
        Column("id", lambda row, screen: str(row.letter.id)),
        Column("set aside (UTC)", lambda row, screen: _time(row.letter.time)),
        Column("sent (UTC)", lambda row, screen: _time(row.letter.sent), is_wide=True),
        Column("reason", lambda row, screen: printable(row.letter.reason[:40])),
        Column("key", lambda row, screen: printable(text(row.letter.key)[:64])),
        Column("bytes", lambda row, screen: f"{len(row.letter.value or b''):,}", is_right=True, is_wide=True),
        Column("detail", lambda row, screen: printable(row.detail)),
    ),
    lambda row: row.letter.as_json(row.settled),
    lambda row: str(row.letter.id),
    ("id", "topic", "partition", "offset", "reason", "detail", "time", "sent", "key", "replay_of", "settled"),
    "no dead letters",
)
#: The number of letters of each inbox and reason.
COUNTS: Final = Listing(
    (
        Column("letters", lambda row, screen: f"{row[1]:,}", is_right=True),
        Column("inbox", lambda row, screen: row[0][0]),
        Column("reason", lambda row, screen: printable(row[0][1])),
    ),
    lambda row: {"topic": row[0][0], "reason": row[0][1], "number": row[1]},
    lambda row: str(row[0][1]),
    ("topic", "reason", "number"),
    "no dead letters",
)


def show_whole(choice: LetterFilter, found: list[Letter], done: Settlements, *, as_json: bool) -> None:
    """Prints each letter with all that it has. `CommandFailed` with the ids that no letter has."""
    must_exist(choice, [letter.id for letter in found])
    for letter in found:
        again = done.get(letter.id, [])
        if as_json:
            show(letter.as_json(again), "", as_json=True)
        else:
            for line in _whole(letter, again):
                click.echo(printable(line))


def _whole(letter: Letter, done: list[Settlement]) -> Iterator[str]:
    yield f"{letter.id}"
    yield f"  reason     {letter.reason}"
    yield f"  detail     {letter.detail}"
    yield f"  sent       {written(letter.sent)}"
    yield f"  set aside  {written(letter.time)}"
    yield f"  key        {'(none)' if letter.key is None else text(letter.key)}"
    for name, value in letter.headers:
        yield f"  header     {name}: {text(value)}"
    for each in done:
        if each.note is None:
            yield f"  replayed   {written(each.time)} to {each.sent_to} (sha256 {each.sha256[:16]})"
        else:
            yield f"  dismissed  {written(each.time)}: {each.note}"
    if letter.value is None:
        yield "  value      (none)"
        return
    hidden = "; only the hash of a value that held a card number or was too large" if letter.is_hidden else ""
    yield f"  value      {len(letter.value)} bytes{hidden}"
    yield from pretty.lines(letter.value)
