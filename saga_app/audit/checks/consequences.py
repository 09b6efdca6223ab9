"""I6, I8, I9: every consequence in the topics was decided, and every decided consequence is in the topics."""

from typing import Final

from saga_app.audit.checks.matching import (
    FOUND,
    LETTER,
    SENT_ON,
    SETTLED,
    STEP_REQUEST,
    WANTED,
    Carried,
    Consequence,
    Origin,
    consequences,
)
from saga_app.audit.checks.orders import JOURNALS
from saga_app.audit.context import AuditContext
from saga_app.audit.dead_letters import gone_until
from saga_app.audit.findings import Breach, Findings, Mending
from saga_app.audit.scratch import EVICTED, FOLDED, Stores
from saga_app.core.rows import version_of

#: The invariant of each kind of consequence, and the name of its figure.
_KINDS: Final = {
    STEP_REQUEST: ("I6", "requests and endings"),
    SENT_ON: ("I8", "records sent on"),
    LETTER: ("I8", "dead letters"),
}

#: By kind, the way to mend a consequence that was lost.
_LOST: Final = {
    STEP_REQUEST: Mending.ASK_AGAIN,
    SENT_ON: Mending.SEND_AGAIN,
    LETTER: Mending.LETTER_AGAIN,
}


def match(context: AuditContext, findings: Findings) -> None:
    """Compares both sides; carries over to the next audit what it needs."""
    if not context.limits.are_whole:
        for invariant in ("I6", "I8"):
            findings.claim_less(invariant, "an inbox does not begin at its first record: nothing was matched")
        return
    gone = gone_until(context.folder)
    folders = [context.folder, *([] if context.base is None else [context.base])]
    with Stores(context.folder, read_only=True) as stores, Carried(context.target) as carried:
        for invariant, name in _KINDS.values():
            findings.count(invariant, name, 0)
        for consequence in consequences(*folders):
            superseded = _is_superseded(consequence, context, stores)
            carried.add(consequence, superseded=superseded)
            if superseded:
                invariant, name = _KINDS[STEP_REQUEST]
                findings.count(invariant, f"{name} superseded")
            else:
                _judge(consequence, context, findings, gone)


def _judge(consequence: Consequence, context: AuditContext, findings: Findings, gone: int | None) -> None:
    invariant, name = _KINDS[consequence.kind]
    if consequence.is_matched:
        findings.count(invariant, name)
    elif (wanted := consequence.origin(WANTED)) is not None:
        _missing(wanted, consequence.kind, context, findings, gone)
    else:
        _from_nowhere(consequence, invariant, findings)


def _missing(wanted: Origin, kind: str, context: AuditContext, findings: Findings, gone: int | None) -> None:
    """`gone`: the letters of records up to this time may have been deleted, see `gone_until`."""
    invariant, name = _KINDS[kind]
    if wanted.offset >= context.limits.committed[wanted.place]:
        findings.count(invariant, f"{name} under way")
    elif kind == LETTER and gone is not None and wanted.time <= gone:
        findings.count(invariant, f"{name} past their retention")
        findings.claim_less(
            invariant, "dead_letters does not begin at its first record: some letters are gone"
        )
    else:
        what = f"its {wanted.what} is not in the topics, though the offset is committed"
        findings.breach(Breach("I9", what, wanted.place, wanted.offset, wanted.order, mending=_LOST[kind]))


def _from_nowhere(consequence: Consequence, invariant: str, findings: Findings) -> None:
    found = consequence.origin(FOUND)
    # Whoever marks a record of his own as sent on does no harm: it is decided like any other.
    if found is not None and consequence.kind != SENT_ON:
        what = f"this {found.what} follows from no record of an inbox"
        mending = Mending.FORGED_LETTER if consequence.kind == LETTER else Mending.FORGED
        findings.breach(Breach(invariant, what, found.place, found.offset, found.order, mending=mending))


def _is_superseded(consequence: Consequence, context: AuditContext, stores: Stores) -> bool:
    """After a crash only the outcome that the row has is sent again: what an earlier record asked for is not."""
    wanted = consequence.origin(WANTED)
    if consequence.is_matched or consequence.kind != STEP_REQUEST or wanted is None:
        return not consequence.is_matched and SETTLED in consequence.origins
    if wanted.order is None or wanted.offset >= context.limits.committed[wanted.place]:
        return False
    row = stores.store(FOLDED, (JOURNALS[wanted.topic], wanted.partition)).get(wanted.order.encode())
    evicted = stores.store(EVICTED, wanted.place).scan(f"{wanted.order} ".encode())
    return any(version_of(each) > wanted.offset for each in (row, *(each for _, each in evicted)) if each)
