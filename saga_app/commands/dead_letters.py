"""`saga dead-letters`: the records that could not be applied, and why."""

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

import click

from saga_app.commands.health_line import with_health
from saga_app.commands.letter_options import letter_options, must_exist
from saga_app.commands.render.output import as_json, one_line_errors, show
from saga_app.dead_letters import pretty
from saga_app.dead_letters.filters import LetterFilter
from saga_app.dead_letters.format import LetterId
from saga_app.dead_letters.letter import Letter, Replay, text
from saga_app.dead_letters.reader import Letterbox
from saga_app.kafka.reachable import require_broker
from saga_app.settings import Settings
from saga_app.text import printable
from saga_app.times import written

#: Letters in the list for people, by default.
DEFAULT_LIMIT: Final = 50
Replays = Mapping[LetterId, list[Replay]]


@click.command("dead-letters")
@letter_options
@click.option("--unreplayed", is_flag=True, help="Only those that were not sent again.")
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
def dead_letters(
    choice: LetterFilter, unreplayed: bool, limit: int | None, count: bool, as_json: bool
) -> None:
    """List the records that could not be applied, and why; with an ID, show that one whole.

    \b
    saga dead-letters
    saga dead-letters --since 1h --reason invalid
    saga dead-letters --order 4711 --json
    saga dead-letters payment_events:3:120
    saga dead-letters --count

    An ID is the place of the original: inbox, partition, offset. `saga replay ID` sends one again. Of bytes that held
    a card number, or were too large for a letter, only the hash is kept.
    """
    settings = Settings.read()
    require_broker(settings)
    letterbox = Letterbox(settings)
    replays = letterbox.replays()
    choice = choice._replace(unreplayed=unreplayed)
    kinds: Counter[tuple[str, str]] = Counter()

    def matching() -> Iterator[Letter]:
        for letter in letterbox.letters():
            if choice.takes(letter, replays):
                kinds[letter.id.topic, letter.reason] += 1
                yield letter

    if count:
        for _ in matching():
            pass
        _count(kinds, as_json=as_json)
    elif choice.ids:
        _show_whole(choice, list(matching()), replays, as_json=as_json)
    else:
        most = (0 if as_json else DEFAULT_LIMIT) if limit is None else limit
        shown = 0
        for letter in heapq.nlargest(most, matching(), key=_time_and_id) if most else matching():
            shown += 1
            again = replays.get(letter.id, [])
            show(letter.as_json(again) if as_json else {}, _line(letter, again), as_json=as_json)
        if not as_json:
            click.echo(_summary(kinds, shown))


def _time_and_id(letter: Letter) -> tuple[int, LetterId]:
    return letter.time, letter.id


def _line(letter: Letter, replays: list[Replay]) -> str:
    remarks = [f"replay of {letter.replay_of}"] if letter.replay_of else []
    if replays:
        remarks.append("replayed" + (f" {len(replays)} times" if len(replays) > 1 else ""))
    columns = (
        f"{letter.id!s:<26}",
        written(letter.time)[:19].replace("T", " "),
        f"{letter.reason:<17.40}",
        f"{text(letter.key):<12.64}",
        f"{letter.detail[:120]}{''.join(f' [{each}]' for each in remarks)}",
    )
    return "  ".join(map(printable, columns))


def _summary(kinds: Counter[tuple[str, str]], shown: int) -> str:
    total = kinds.total()
    if not total:
        return "no dead letters"
    reasons: Counter[str] = Counter()
    for (_, reason), number in kinds.items():
        reasons[reason] += number
    each = ", ".join(f"{number} {printable(reason)}" for reason, number in reasons.most_common())
    more = f"; the newest {shown} are shown, --limit 0 shows all" if shown < total else ""
    return f"dead letters: {total} ({each}){more}"


def _count(kinds: Counter[tuple[str, str]], *, as_json: bool) -> None:
    for (topic, reason), number in sorted(kinds.items()):
        machine = {"topic": topic, "reason": reason, "number": number}
        show(machine, f"{number:>8}  {topic:<16}  {printable(reason)}", as_json=as_json)
    if not as_json:
        click.echo(_summary(kinds, kinds.total()))


def _show_whole(choice: LetterFilter, found: list[Letter], replays: Replays, *, as_json: bool) -> None:
    must_exist(choice, [letter.id for letter in found])
    for letter in found:
        again = replays.get(letter.id, [])
        if as_json:
            show(letter.as_json(again), "", as_json=True)
        else:
            for line in _whole(letter, again):
                click.echo(printable(line))


def _whole(letter: Letter, replays: list[Replay]) -> Iterator[str]:
    yield f"{letter.id}"
    yield f"  reason     {letter.reason}"
    yield f"  detail     {letter.detail}"
    yield f"  sent       {written(letter.sent)}"
    yield f"  set aside  {written(letter.time)}"
    yield f"  key        {'(none)' if letter.key is None else text(letter.key)}"
    for name, value in letter.headers:
        yield f"  header     {name}: {text(value)}"
    for replay in replays:
        yield f"  replayed   {written(replay.time)} to {replay.sent_to} (sha256 {replay.sha256[:16]})"
    if letter.value is None:
        yield "  value      (none)"
        return
    hidden = "; only the hash of a value that held a card number or was too large" if letter.is_hidden else ""
    yield f"  value      {len(letter.value)} bytes{hidden}"
    yield from pretty.lines(letter.value)
