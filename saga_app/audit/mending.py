"""Proposals that mend breaches: for each kind the reason, and the commands. Nothing is done by itself."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from saga_app.audit.findings import Breach, Mending


class Advice(NamedTuple):
    """The advice for one kind of breach; `commands` name order, topic, partition and offset in braces."""

    what: str
    commands: tuple[str, ...] = ()


class Proposal(NamedTuple):
    """One proposal, and the breaches that it is for."""

    what: str
    commands: tuple[str, ...]
    breaches: list[Breach]

    def as_json(self) -> dict[str, Any]:
        return {"what": self.what, "commands": self.commands, "breaches": [each.id for each in self.breaches]}


_HISTORY: Final = "saga history {order}"
#: Also of an order that nobody placed: `saga history` does not know where its other records are.
_ORDER: Final = "saga order {order}"

ADVICE: Final[Mapping[Mending, Advice]] = {
    Mending.REBUILD: Advice(
        "A changelog does not follow from its inbox. Stop all workers, look what is lost, and make the changelogs anew",
        ("saga rebuild --from-inboxes --dry-run", "saga rebuild --from-inboxes"),
    ),
    Mending.DISK: Advice(
        "The disk of a stopped worker differs from the changelog. Move its SAGA_DATA_DIR away: the worker restores "
        "everything when it starts"
    ),
    Mending.ADVANCE: Advice(
        "An inbox lost records that were decided. Stop all workers, look which, and go on behind them; then send again "
        "what people sent since (docs/how-to/recover.md)",
        ("saga advance --dry-run", "saga advance"),
    ),
    Mending.MOVE: Advice(
        "Records lie in a partition that somebody added, and that no worker reads. Let them be sent on",
        ("saga topics --move",),
    ),
    Mending.ASK_AGAIN: Advice(
        "A request to a step was lost. While the order is open, its next deadline asks again; the button Nudge on its "
        "page asks now. If it has ended, nothing is missing",
        (_HISTORY,),
    ),
    Mending.LETTER_AGAIN: Advice(
        "A dead letter was lost. Its record is still in the inbox: look at it, and send it again, corrected, if it "
        "matters (docs/how-to/recover.md, Dead letters)"
    ),
    Mending.SEND_AGAIN: Advice(
        "A record that a worker had to send on to another partition was lost. It is still in the inbox where it came "
        "in: send it again. If it is a change of policy, send the policy that is to be in force, under a new id"
    ),
    Mending.FORGED: Advice(
        "Somebody who is no service wrote a record into an inbox. Look what followed from it; give money or stock "
        "back by a deposit or a delivery; then acknowledge it, and let services sign (docs/how-to/sign-records.md)",
        (_HISTORY, _ORDER, "saga audit --acknowledge {id} --why TEXT --checkpoint DIR"),
    ),
    Mending.FORGED_LETTER: Advice(
        "Somebody who is no worker wrote a dead letter. Never replay it: find its id, and dismiss it",
        ("saga dead-letters --json", "saga dead-letters dismiss ID --note forged"),
    ),
    Mending.TWO_ENDINGS: Advice(
        "A record says another ending than the order has: it was forged, or records were lost. The order keeps its "
        "ending; look at the record, and dismiss its letter",
        (
            _HISTORY,
            "saga dead-letters {topic}:{partition}:{offset}",
            "saga dead-letters dismiss {topic}:{partition}:{offset} --note TEXT",
        ),
    ),
    Mending.HALF_DONE: Advice(
        "The order has ended, and one step does not agree. No record can change an order that has ended: give money "
        "back by a deposit, put goods back by a delivery, or book and charge by hand; then acknowledge the breach",
        (_HISTORY, "saga audit --acknowledge {id} --why TEXT --checkpoint DIR"),
    ),
    Mending.IN_DOUBT: Advice(
        "A provider and the journal disagree about an effect. Look at the provider, close there what is open, and "
        "write down what you found (docs/how-to/settle-doubt.md)",
        ("saga effects {order} --all", _HISTORY),
    ),
    Mending.PAST: Advice(
        "Steps went back in the wrong order, and are undone now: nothing is left to mend. Acknowledge it",
        (_HISTORY, "saga audit --acknowledge {id} --why TEXT --checkpoint DIR"),
    ),
    Mending.GONE: Advice(
        "Records are gone for ever. See that no more go; what they were, only a copy of the topic knows",
        ("saga topics --check", "saga topics --alter"),
    ),
    Mending.BALANCE: Advice(
        "A balance is not the sum of what moved it. If a rebuild does not mend it, correct the difference by a deposit "
        "or a delivery, and acknowledge the breach",
        (
            "saga rebuild --from-inboxes --dry-run",
            "saga audit --acknowledge {id} --why TEXT --checkpoint DIR",
        ),
    ),
    Mending.OUTCOME: Advice(
        "The topic order_outcomes does not say how orders ended. Write what is missing or wrong anew, from their rows; "
        "no worker need be stopped. A forged or lost outcome may have been heard: tell who listens",
        ("saga outcomes --mend --dry-run", "saga outcomes --mend"),
    ),
    Mending.BY_HAND: Advice(
        "No command mends it. Look at the order and at docs/how-to/recover.md, and acknowledge it when it is settled",
        ("saga audit --acknowledge {id} --why TEXT --checkpoint DIR",),
    ),
}


def proposals(breaches: Iterable[Breach]) -> list[Proposal]:
    """One proposal for all breaches that the same commands mend, in the sequence of the breaches."""
    found: dict[tuple[str, tuple[str, ...]], Proposal] = {}
    for breach in breaches:
        what, commands = ADVICE[breach.mending]
        filled = tuple(each for each in (_filled(command, breach) for command in commands) if each)
        found.setdefault((what, filled), Proposal(what, filled, [])).breaches.append(breach)
    return list(found.values())


def _filled(command: str, breach: Breach) -> str | None:
    """The command for this breach; None if the breach does not name what it needs."""
    topic, partition = breach.place or (None, None)
    known = {
        "order": breach.order,
        "topic": topic,
        "partition": partition,
        "offset": breach.offset,
        "id": breach.id,
    }
    if any(value is None and f"{{{name}}}" in command for name, value in known.items()):
        return None
    return command.format(**known)
