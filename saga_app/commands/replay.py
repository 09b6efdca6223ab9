"""`saga replay`: sends dead letters again, corrected if you like, and records each replay."""

import sys
from collections.abc import Iterator
from typing import BinaryIO, Final

import click

from saga_app import wire
from saga_app.commands.letter_options import letter_options, must_exist
from saga_app.commands.render.output import FAILED, as_json, one_line_errors, print_error, show
from saga_app.commands.render.progress import progress_of
from saga_app.dead_letters import replay as planning
from saga_app.dead_letters.filters import LetterFilter
from saga_app.dead_letters.format import LetterId
from saga_app.dead_letters.letter import Letter, Settlement
from saga_app.dead_letters.reader import Letterbox
from saga_app.dead_letters.replay import NotReplayable, ReplayPlan
from saga_app.dead_letters.resend import post
from saga_app.kafka.reachable import require_broker
from saga_app.kafka.sender import Sender
from saga_app.kafka.signatures import Signatures
from saga_app.settings import Settings
from saga_app.text import printable

#: Most letters of one part, and most bytes of their values: a part is sent, then marked.
MOST_LETTERS: Final = 500
MOST_BYTES: Final = 8 * 1024 * 1024


@click.command()
@letter_options
@click.option("--all", "everything", is_flag=True, help="Every letter that is not settled.")
@click.option(
    "--payload",
    type=click.File("rb"),
    metavar="FILE",
    help="The corrected record, for one letter; - for standard input.",
)
@click.option("--force", is_flag=True, help="Also letters that are settled: sent again before, or dismissed.")
@click.option(
    "--sign",
    is_flag=True,
    help="Also records that only services send and that none has signed: sign them as ours. Look at each one before.",
)
@click.option(
    "--dry-run", is_flag=True, help="Only show the records that would be sent, and their partitions."
)
@click.option("--yes", is_flag=True, help="Do not ask before many are sent.")
@as_json
@one_line_errors
def replay(
    choice: LetterFilter,
    everything: bool,
    payload: BinaryIO | None,
    force: bool,
    sign: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Send dead letters again: those with these IDs, or all that the filters choose.

    \b
    saga replay payment_events:3:120 --dry-run
    saga replay payment_events:3:120
    saga replay checkout_events:1:7 --payload corrected.json
    saga replay --reason wrong_partition --since 1d

    Each goes to the inbox and partition where its record belongs. A record that would be refused again is not sent; it
    needs a corrected payload. A replay is recorded, and a second one needs --force; it changes nothing all the same. A
    record that fails again becomes a new dead letter, which names the letter that it repeats. The exit code is 1 if a
    letter was not sent.
    """
    settings = Settings.read()
    if choice.is_everything and not everything:
        raise click.UsageError("which ones? Give IDs, filters, or --all")
    if payload is not None and len(choice.ids) != 1:
        raise click.UsageError("a corrected payload is for one letter: give its ID")
    corrected = None if payload is None else _corrected(payload)
    require_broker(settings)
    letterbox = Letterbox(settings)
    # A letter that is settled: named by its id it is refused with a reason, by a filter it is left out.
    choice = choice._replace(unsettled=not force and not choice.ids)
    work = Resending(settings, letterbox, choice, corrected, force=force, sign=sign, as_json=as_json)
    if choice.ids:
        must_exist(choice, [letter.id for letter in work.chosen()])
    elif not dry_run and not yes and _on_a_terminal():
        number = sum(1 for _ in work.chosen())
        if number > 1:
            click.confirm(f"Send {number} dead letters again?", abort=True, err=True)
    if dry_run:
        work.dry_run()
    else:
        work.send()
    if not as_json:
        what = "letters that would be sent again" if dry_run else "letters sent again"
        click.echo(f"{what}: {work.planned}, not sent: {work.staying}")
    if work.staying:
        raise SystemExit(FAILED)


def _on_a_terminal() -> bool:
    return sys.stdin.isatty()


def _corrected(payload: BinaryIO) -> bytes:
    """The bytes to send; `Rejected` if a worker would refuse them."""
    value = payload.read(wire.LARGEST_STEP_REQUEST + 1024).strip()
    wire.decode(value)
    return value


class Resending:
    """One run of the command: the letters it chooses, and how many of them it sends."""

    def __init__(
        self,
        settings: Settings,
        letterbox: Letterbox,
        choice: LetterFilter,
        corrected: bytes | None,
        *,
        force: bool,
        sign: bool,
        as_json: bool,
    ) -> None:
        self.planned = 0
        self.staying = 0
        self._partitions = settings.partitions
        self._sender = Sender(settings)
        self._letterbox = letterbox
        self._choice = choice
        self._corrected = corrected
        self._force = force
        self._sign = sign
        self._signatures = Signatures.of(settings)
        self._as_json = as_json
        self._progress = progress_of("replay", as_json=as_json)
        self._settled: dict[LetterId, list[Settlement]] = letterbox.settled()

    def chosen(self) -> Iterator[Letter]:
        """The chosen letters; each call reads the topic again."""
        return (each for each in self._letterbox.letters() if self._choice.takes(each, self._settled))

    def dry_run(self) -> None:
        """Prints what would be sent, and sends nothing."""
        for plan in self._plans():
            to = [f"{each.topic}:{each.partition}" for each in plan.sends]
            self._show(
                plan,
                to,
                f"{plan.letter.id} would be sent again as {plan.record.type} to {', '.join(to)}",
                sent=False,
            )

    def send(self) -> None:
        """Sends the letters part by part, and marks each part before the next one."""
        part: list[ReplayPlan] = []
        size = 0
        for plan in self._plans():
            part.append(plan)
            size += len(plan.value) * len(plan.sends)
            if len(part) >= MOST_LETTERS or size >= MOST_BYTES:
                self._send(part)
                part, size = [], 0
        self._send(part)

    def _plans(self) -> Iterator[ReplayPlan]:
        for letter in self.chosen():
            try:
                plan = planning.plan(
                    letter,
                    self._settled.get(letter.id, []),
                    self._partitions,
                    self._corrected,
                    self._force,
                    self._signatures,
                    self._sign,
                )
            except NotReplayable as reason:
                self.staying += 1
                if self._as_json:
                    show({"id": str(letter.id), "sent": False, "reason": str(reason)}, "", as_json=True)
                else:
                    print_error(f"{letter.id} is not sent: {reason}")
            else:
                self.planned += 1
                yield plan

    def _send(self, part: list[ReplayPlan]) -> None:
        self._progress(f"{self.planned:,} letters planned, {self.staying:,} not sent")
        for plan, at in zip(part, post(self._sender, part), strict=True):
            to = [str(each) for each in at]
            self._show(
                plan, to, f"{plan.letter.id} sent again as {plan.record.type} to {', '.join(to)}", sent=True
            )

    def _show(self, plan: ReplayPlan, to: list[str], people: str, *, sent: bool) -> None:
        machine = {
            "id": str(plan.letter.id),
            "sent": sent,
            "type": plan.record.type,
            "to": to,
            "warning": plan.warning,
        }
        warning = f"; {plan.warning}" if plan.warning else ""
        show(machine, printable(people + warning), as_json=self._as_json)
