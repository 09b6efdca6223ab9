"""`saga effects` and `saga resolve`: what providers are asked for, and the answer of a person who has looked there."""

from collections.abc import Collection, Iterator
from typing import Final

import click

from saga_app.commands.args import TimeParam, limit_option
from saga_app.commands.completion import order_ids
from saga_app.commands.health_line import warn_without_workers
from saga_app.commands.render.output import (
    CommandFailed,
    Output,
    as_json,
    as_list,
    must_want_it,
    one_line_errors,
    show,
)
from saga_app.core.records import Outcome, StepName
from saga_app.core.route import STEPS, step
from saga_app.core.rows import JournalRow, State
from saga_app.kafka.reachable import require_broker
from saga_app.settings import Settings
from saga_app.times import now

_STEPS: Final = tuple(each.name.value for each in STEPS)
_SETTLE: Final = "docs/how-to/settle-doubt.md"


@click.command()
@click.argument("order_id", metavar="[ORDER]", required=False, shell_complete=order_ids)
@click.option("--provider", metavar="NAME", help="Only of this provider.")
@click.option("--step", "of_step", type=click.Choice(_STEPS), help="Only of this step.")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in State], case_sensitive=False),
    help="Only in this state, also one that has ended. May be repeated.",
)
@click.option("--in-doubt", is_flag=True, help="Only what nobody has known about for more than 5 minutes.")
@click.option(
    "--asked-before",
    metavar="TIME",
    type=TimeParam(),
    help="Only asked for before a time, or 30m, 12h, 7d ago.",
)
@click.option("--conflicts", is_flag=True, help="Only where a provider said what cannot be.")
@click.option("--all", "everything", is_flag=True, help="Also what is done, refused or undone.")
@limit_option
@as_list
@one_line_errors
def effects(
    order_id: str | None,
    provider: str | None,
    of_step: str | None,
    states: tuple[str, ...],
    in_doubt: bool,
    asked_before: int | None,
    conflicts: bool,
    everything: bool,
    limit: int,
    output: Output,
) -> None:
    """List the effects that providers are asked for, those in conflict, and authorisations that run out within a day.

    \b
    saga effects
    saga effects --in-doubt --provider stripe
    saga effects --state undoing --state preventing
    saga effects 4711 --all
    saga effects --in-doubt -o name | xargs -n 1 saga history

    The oldest come first. It reads the changelogs of the journals, which takes as long as a restore of them; of one
    ORDER, only the partitions that have it. Exit code 1 if an effect that was chosen needs a person, listed or beyond
    --limit: it is in doubt or in conflict, or its authorisation runs out. `saga resolve` writes down what that person
    found.
    """
    from saga_app.commands.render.effect_list import EFFECTS, ListedEffect
    from saga_app.commands.render.listing import show_note, show_rows

    settings = Settings.read()
    require_broker(settings)
    read_at = now()
    found = [
        ListedEffect(each, name, row, read_at)
        for name, each, row in _rows(settings, order_id)
        if of_step in (None, name)
    ]
    _must_be_known(settings, provider, {each.provider for each in found})
    listed = [
        each
        for each in found
        # A row whose step had asked nobody has no provider, and its conflict is everybody's.
        if provider in (None, each.provider) or not each.provider
        if asked_before is None or each.age > read_at - asked_before
        if not states or each.row.state in states
        if (everything or states or each.is_asked or each.row.conflict is not None or each.runs_out_soon)
        and (
            not (in_doubt or conflicts)
            or (in_doubt and each.is_in_doubt)
            or (conflicts and each.row.conflict)
        )
    ]
    show_rows(EFFECTS, sorted(listed, key=lambda each: -each.age)[:limit], output)
    if len(listed) > limit:
        show_note(f"{len(listed) - limit} younger ones: --limit {len(listed)}", output)
    needing = sum(each.needs_a_person for each in listed)
    if needing:
        show_note(f"{needing} need a person: {_SETTLE}", output)
        raise SystemExit(1)


def _rows(settings: Settings, order_id: str | None) -> Iterator[tuple[StepName, str, JournalRow]]:
    """Each step, order and row of an effect at a provider; of one order or of all."""
    from saga_app.effects import journals

    if order_id is None:
        for name, journal in journals.read(settings).items():
            yield from ((name, each, row) for each, row in journal.rows.items())
        return
    try:
        of_order = journals.of_order(settings, order_id)
    except journals.NoSuchEffect as error:
        raise CommandFailed(str(error)) from error
    yield from ((name, order_id, row) for name, (row, _) in of_order.items() if journals.is_outside(row))


def _must_be_known(settings: Settings, provider: str | None, of_rows: Collection[str]) -> None:
    """A typing error in a name must not look as if all were well."""
    known = sorted({*of_rows, *settings.provider_factories} - {""})
    if provider is not None and provider not in known:
        names = f"there are {', '.join(known)}" if known else "there is none"
        raise CommandFailed(f"no order and no setting names a provider {provider!r}; {names}")


@click.command()
@click.argument("order_id", metavar="ORDER", shell_complete=order_ids)
@click.argument("step_name", metavar="STEP", type=click.Choice(_STEPS))
@click.option("--done", "done", metavar="REFERENCE", help="The provider has the effect, under this name.")
@click.option(
    "--refused", is_flag=True, help="It has no effect, and nothing that is under way can bring one."
)
@click.option("--undone", is_flag=True, help="It had the effect, and all of it is taken back.")
@click.option(
    "--captured", metavar="REFERENCE", help="All of the money that was authorised is taken, under this name."
)
@click.option(
    "--reference", metavar="REFERENCE", help="With --refused or --undone: the provider's name of it."
)
@click.option("--settles", is_flag=True, help="A conflict of this step is settled by this.")
@click.option("--note", metavar="TEXT", required=True, help="How you know; it is kept in the record.")
@click.option("--yes", is_flag=True, help="Do not ask before it is sent.")
@as_json
@one_line_errors
def resolve(
    order_id: str,
    step_name: str,
    done: str | None,
    refused: bool,
    undone: bool,
    captured: str | None,
    reference: str | None,
    settles: bool,
    note: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Write down what a provider did for a STEP of ORDER, when no answer of the provider will say it.

    \b
    saga resolve 4711 payment --refused --note "closed by support, case 88"
    saga resolve 4711 payment --done pi_3Q --note "seen in the dashboard"
    saga resolve 4711 payment --undone --settles --note "refunded by hand, re_1"
    saga resolve 4711 payment --captured pi_4 --settles --note "it had run out; the customer paid again"

    Look at the provider first, and close there what is still open: workers believe you. They decide by the same rules
    as for an answer of the provider, so what contradicts the journal becomes a conflict and changes nothing else. It
    says what would follow, and asks before it sends the record. If services sign their records, it wants the keys of
    the workers (SAGA_SIGNING_KEYS).
    """
    from saga_app.effects import journals
    from saga_app.effects.resolution import resolution
    from saga_app.kafka.sender import Sender
    from saga_app.kafka.signatures import as_service

    said = {
        Outcome.DONE: done is not None,
        Outcome.CAPTURED: captured is not None,
        Outcome.REFUSED: refused,
        Outcome.UNDONE: undone,
    }
    outcomes = [outcome for outcome, is_said in said.items() if is_said]
    if len(outcomes) != 1:
        raise click.UsageError("say one of --done, --captured, --refused and --undone")
    settings = Settings.read()
    require_broker(settings)
    of_step = step(StepName(step_name))
    try:
        found = journals.find(settings, order_id, of_step)
        named = done or captured or reference
        answer = resolution(order_id, of_step, found, outcomes[0], named, note, settles=settles)
    except (journals.NoSuchEffect, ValueError) as error:
        raise CommandFailed(str(error)) from error
    before, after = answer.before, answer.after
    if after is None:
        raise CommandFailed(
            f"nothing would change: {of_step.name} of order {order_id} is {before.state}; `saga history {order_id}` "
            "says why"
        )
    if answer.is_conflict:
        raise CommandFailed(
            f"this contradicts the journal: {of_step.name} of order {order_id} is {before.state}. Workers would note a "
            f"conflict and change nothing else; {_SETTLE} says what to do instead"
        )
    changes = "" if after.state is before.state else f"{before.state} becomes {after.state}"
    is_settled = before.conflict is not None and after.conflict is None
    settled = "the conflict is settled" if is_settled else ""
    follows = "; ".join(filter(None, (changes, settled, answer.follows())))
    must_want_it(yes, f"{of_step.name} of order {order_id} would be told {answer.record.outcome}: {follows}.")
    (sent,) = Sender(settings).post([as_service(answer.record, settings)])
    machine = {"order_id": order_id, "step": of_step.name, "outcome": answer.record.outcome, **sent._asdict()}
    show(machine, f"{of_step.name} of order {order_id}: {follows}; {sent}", as_json=as_json)
    warn_without_workers(settings)
