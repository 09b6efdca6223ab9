"""`saga dead-letters`: the records that could not be applied, and why."""

import heapq
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

import click

from saga_app.commands.args import DEFAULT_LIMIT
from saga_app.commands.health_line import with_health
from saga_app.commands.letter_options import LetterIdParam, letter_options, must_exist
from saga_app.commands.render.letters import COUNTS, LETTERS, SettledLetter, show_whole
from saga_app.commands.render.listing import show_note, show_rows
from saga_app.commands.render.output import CommandFailed, Output, as_json, as_list, one_line_errors, show
from saga_app.dead_letters.filters import LetterFilter
from saga_app.dead_letters.format import LetterId, dismissal
from saga_app.dead_letters.letter import Letter
from saga_app.dead_letters.reader import Letterbox
from saga_app.kafka.reachable import require_broker
from saga_app.kafka.sender import Sender
from saga_app.redaction import has_card_number
from saga_app.settings import Settings
from saga_app.text import printable

#: Characters of the note of a dismissal.
LONGEST_NOTE: Final = 200


@click.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...", type=LetterIdParam())
@click.option(
    "--note", metavar="TEXT", required=True, help="Why nothing is to be done, in at most 200 characters."
)
@as_json
@one_line_errors
def dismiss(ids: tuple[LetterId, ...], note: str, as_json: bool) -> None:
    """Settle dead letters without sending them again: lists and counts leave them out from now on.

    \b
    saga dead-letters dismiss payment_events:3:120 --note "a test of ours"

    The note is written to `dead_letters`, behind the letter. `saga dead-letters ID` shows it. A letter that is settled
    already is left as it is.
    """
    if not note.strip() or len(note) > LONGEST_NOTE:
        raise click.UsageError(f"a note has 1 to {LONGEST_NOTE} characters")
    if has_card_number([note]):
        raise click.UsageError("the note holds a card number; leave it out")
    settings = Settings.read()
    require_broker(settings)
    wanted = LetterFilter(frozenset(ids))
    letterbox = Letterbox(settings)
    found = {letter.id: letter.store for letter in letterbox.letters() if wanted.takes(letter, {})}
    must_exist(wanted, found)
    done = letterbox.settled()
    Sender(settings).post(dismissal(each, store, note) for each, store in found.items() if each not in done)
    for each in found:
        machine: dict[str, Any] = {"id": str(each), "note": note, "dismissed": each not in done}
        words = f"dismissed: {printable(note)}"
        if each in done:
            words = f"left as it is, it was settled before: {printable(done[each][-1].in_words())}"
        show(machine, f"{each} {words}", as_json=as_json)


class LettersCommand(click.Command):
    """The list; or another command, if its name comes first."""

    commands: Final = {"dismiss": dismiss}

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        command = self.commands.get(args[0]) if args else None
        if command is None:
            return super().make_context(info_name, args, parent, **extra)
        return command.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)


@click.command("dead-letters", cls=LettersCommand)
@letter_options
@click.option("--settled", is_flag=True, help="Those too that were sent again or dismissed.")
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(0),
    help=f"The newest N, newest first; 0: all, as they stand in the log. [default: {DEFAULT_LIMIT}; 0 but for tables]",
)
@click.option(
    "--after", metavar="ID", type=LetterIdParam(), help="The next page: the letters behind this one."
)
@click.option("--count", is_flag=True, help="Only how many there are of each kind.")
@as_list
@with_health
@one_line_errors
def dead_letters(
    choice: LetterFilter,
    settled: bool,
    limit: int | None,
    after: LetterId | None,
    count: bool,
    output: Output,
) -> None:
    """List the records that could not be applied and are not settled; with an ID, show that one whole.

    \b
    saga dead-letters
    saga dead-letters --since 1h --reason invalid
    saga dead-letters --order 4711 --json
    saga dead-letters payment_events:3:120
    saga dead-letters --count
    saga dead-letters dismiss payment_events:3:120 --note "a test of ours"

    An ID is the place of the original: inbox, partition, offset. A letter is settled when `saga replay ID` has sent it
    again (if it fails once more, it is a new letter), or when it was dismissed. Of bytes that held a card number, or
    were too large for a letter, only the hash is kept.
    """
    settings = Settings.read()
    require_broker(settings)
    letterbox = Letterbox(settings)
    done = letterbox.settled()
    choice = choice._replace(unsettled=not settled and not choice.ids)
    kinds: Counter[tuple[str, str]] = Counter()

    def matching() -> Iterator[Letter]:
        for letter in letterbox.letters():
            if choice.takes(letter, done):
                kinds[letter.id.topic, letter.reason] += 1
                yield letter

    if choice.ids:
        show_whole(choice, list(matching()), done, as_json=output == Output.JSON)
    elif count:
        for _ in matching():
            pass
        show_rows(COUNTS, sorted(kinds.items()), output)
        show_note(_summary(kinds, kinds.total(), settled=settled), output)
    else:
        most = (DEFAULT_LIMIT if output in (Output.TABLE, Output.WIDE) else 0) if limit is None else limit
        letters = matching()
        if after is not None:
            most, letters = most or sys.maxsize, _behind(_of_id(letterbox, after), letters)
        shown = heapq.nlargest(most, letters, key=_time_and_id) if most else letters
        none = f"no {'' if settled else 'unsettled '}dead letters"
        number = show_rows(LETTERS._replace(none=none), (SettledLetter(each, done) for each in shown), output)
        if kinds:
            show_note(_summary(kinds, number, settled=settled), output)


def _of_id(letterbox: Letterbox, wanted: LetterId) -> Letter:
    found = next((letter for letter in letterbox.letters() if letter.id == wanted), None)
    if found is None:
        raise CommandFailed(f"--after {wanted}: there is no such dead letter")
    return found


def _behind(last: Letter, letters: Iterable[Letter]) -> Iterator[Letter]:
    return (letter for letter in letters if _time_and_id(letter) < _time_and_id(last))


def _time_and_id(letter: Letter) -> tuple[int, LetterId]:
    return letter.time, letter.id


def _summary(kinds: Counter[tuple[str, str]], shown: int, *, settled: bool) -> str:
    total, which = kinds.total(), "" if settled else "unsettled "
    reasons: Counter[str] = Counter()
    for (_, reason), number in kinds.items():
        reasons[reason] += number
    each = ", ".join(f"{number} {printable(reason)}" for reason, number in reasons.most_common())
    more = f"; {shown} are shown, --limit 0 shows all" if shown < total else ""
    return f"{which}dead letters: {total} ({each}){more}"
