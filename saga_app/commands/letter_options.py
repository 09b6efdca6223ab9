"""The options that choose letters, for `saga dead-letters` and `saga replay`."""

from collections.abc import Callable, Collection
from functools import wraps
from typing import Any, Final

import click

from saga_app import topics
from saga_app.commands.args import TimeParam
from saga_app.commands.render.output import CommandFailed
from saga_app.core.errors import Fault
from saga_app.dead_letters.filters import LetterFilter
from saga_app.dead_letters.format import LetterId


class LetterIdParam(click.ParamType):
    """The id of a dead letter: INBOX:PARTITION:OFFSET."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> LetterId:
        if isinstance(value, LetterId):
            return value
        return LetterId.parse(value) or self.fail(
            f"{value!r} is not a dead letter's id; it is written as in {topics.PAYMENT}:3:120", param, ctx
        )


ids: Final = click.argument("ids", nargs=-1, metavar="[ID]...", type=LetterIdParam())
_OPTIONS: Final = (
    click.option(
        "--reason",
        "reasons",
        multiple=True,
        metavar="REASON",
        help=f"Only these: {', '.join(sorted(Fault))}. May be repeated.",
    ),
    click.option(
        "--topic", "inboxes", multiple=True, type=click.Choice(topics.INBOXES), help="Only of this inbox."
    ),
    click.option("--order", metavar="ID", help="Only those with this id in key or payload."),
    click.option(
        "--since", metavar="TIME", type=TimeParam(), help="Set aside since then: a time, or 30m, 12h, 7d ago."
    ),
    click.option("--until", metavar="TIME", type=TimeParam(), help="Set aside before then."),
)


def letter_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds ids and filters to a command, which gets them as one `choice`."""

    @wraps(command)
    def run(
        ids: tuple[LetterId, ...],
        reasons: tuple[str, ...],
        inboxes: tuple[str, ...],
        order: str | None,
        since: int | None,
        until: int | None,
        **options: Any,
    ) -> None:
        command(LetterFilter(frozenset(ids), reasons, inboxes, order, since, until), **options)

    for option in reversed(_OPTIONS):
        option(run)
    return ids(run)


def must_exist(choice: LetterFilter, found: Collection[LetterId]) -> None:
    """Raises `CommandFailed` with the ids that no letter has."""
    missing = sorted(set(choice.ids) - set(found))
    if missing:
        raise CommandFailed(
            f"no dead letter is {', '.join(map(str, missing))}; `saga dead-letters` lists them"
        )
