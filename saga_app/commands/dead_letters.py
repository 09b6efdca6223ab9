"""`saga dead-letters`: the records that could not be applied, and why."""

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import click

from saga_app.commands.args import DEFAULT_LIMIT
from saga_app.commands.health_line import with_health
from saga_app.commands.letter_options import LetterIdParam, letter_options, must_exist
from saga_app.commands.render.output import as_json, one_line_errors, show
from saga_app.dead_letters import pretty
from saga_app.dead_letters.filters import LetterFilter
from saga_app.dead_letters.format import LetterId, dismissal
from saga_app.dead_letters.letter import Letter, Settlement, text
from saga_app.dead_letters.reader import Letterbox
from saga_app.kafka.reachable import require_broker
from saga_app.kafka.sender import Sender
from saga_app.redaction import has_card_number
from saga_app.settings import Settings
from saga_app.text import printable
from saga_app.times import written

#: Characters of the note of a dismissal.
LONGEST_NOTE: Final = 200
Settlements = Mapping[LetterId, list[Settlement]]


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
    help=f"The newest N, newest first; 0: all, as they stand in the log. [default: {DEFAULT_LIMIT}; with --json 0]",
)
@click.option("--count", is_flag=True, help="Only how many there are of each kind.")
@as_json
@with_health
@one_line_errors
def dead_letters(choice: LetterFilter, settled: bool, limit: int | None, count: bool, as_json: bool) -> None:
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

    if count:
        for _ in matching():
            pass
        _count(kinds, as_json=as_json, settled=settled)
    elif choice.ids:
        _show_whole(choice, list(matching()), done, as_json=as_json)
    else:
        most = (0 if as_json else DEFAULT_LIMIT) if limit is None else limit
        shown = 0
        for letter in heapq.nlargest(most, matching(), key=_time_and_id) if most else matching():
            shown += 1
            again = done.get(letter.id, [])
            show(letter.as_json(again) if as_json else {}, _line(letter, again), as_json=as_json)
        if not as_json:
            click.echo(_summary(kinds, shown, settled=settled))


def _time_and_id(letter: Letter) -> tuple[int, LetterId]:
    return letter.time, letter.id


def _line(letter: Letter, done: list[Settlement]) -> str:
    remarks = [f"replay of {letter.replay_of}"] if letter.replay_of else []
    replays = sum(each.note is None for each in done)
    if replays:
        remarks.append("replayed" + (f" {replays} times" if replays > 1 else ""))
    remarks += [f"dismissed: {each.note}" for each in done if each.note is not None]
    columns = (
        f"{letter.id!s:<26}",
        written(letter.time)[:19].replace("T", " "),
        f"{letter.reason:<17.40}",
        f"{text(letter.key):<12.64}",
        f"{letter.detail[:120]}{''.join(f' [{each}]' for each in remarks)}",
    )
    return "  ".join(map(printable, columns))


def _summary(kinds: Counter[tuple[str, str]], shown: int, *, settled: bool) -> str:
    total, which = kinds.total(), "" if settled else "unsettled "
    if not total:
        return f"no {which}dead letters"
    reasons: Counter[str] = Counter()
    for (_, reason), number in kinds.items():
        reasons[reason] += number
    each = ", ".join(f"{number} {printable(reason)}" for reason, number in reasons.most_common())
    more = f"; the newest {shown} are shown, --limit 0 shows all" if shown < total else ""
    return f"{which}dead letters: {total} ({each}){more}"


def _count(kinds: Counter[tuple[str, str]], *, as_json: bool, settled: bool) -> None:
    for (topic, reason), number in sorted(kinds.items()):
        machine = {"topic": topic, "reason": reason, "number": number}
        show(machine, f"{number:>8}  {topic:<16}  {printable(reason)}", as_json=as_json)
    if not as_json:
        click.echo(_summary(kinds, kinds.total(), settled=settled))


def _show_whole(choice: LetterFilter, found: list[Letter], done: Settlements, *, as_json: bool) -> None:
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
