"""Actions on dead letters, for pages and the API: try, replay, dismiss. Blocking, so they run in a thread."""

from collections.abc import Sequence

from saga_app import topics
from saga_app.dead_letters.format import LetterId, dismissal
from saga_app.dead_letters.letter import Letter, Settlement
from saga_app.dead_letters.reader import Letterbox
from saga_app.dead_letters.replay import NotReplayable, ReplayPlan, plan
from saga_app.dead_letters.resend import post
from saga_app.kafka.sender import Sender
from saga_app.kafka.signatures import Signatures
from saga_app.settings import Settings


class LetterMissing(Exception):
    """There is no such letter; the message names it."""


def dry_run(
    settings: Settings, place: LetterId, corrected: bytes | None = None, *, force: bool = False
) -> ReplayPlan:
    """Returns the records that a replay would send.

    Raises `NotReplayable` or `Rejected` if it would be refused, and `LetterMissing`.
    """
    return _plans(settings, [place], corrected, force=force)[0]


def replay(
    settings: Settings, places: Sequence[LetterId], corrected: bytes | None = None, *, force: bool = False
) -> list[list[LetterId]]:
    """Sends these letters again, and marks them; returns the new places of each.

    If one of them must not be sent, nothing is. Raises as `dry_run`.
    """
    return list(post(Sender(settings), _plans(settings, places, corrected, force=force)))


def dismiss(settings: Settings, places: Sequence[LetterId], note: str) -> None:
    """Settles these letters without sending them; one that is settled is left as it is. Raises `LetterMissing`."""
    found = _letters(settings, places)
    Sender(settings).post(
        dismissal(letter.id, letter.store, note) for letter, settled in found if not settled
    )


def _plans(
    settings: Settings, places: Sequence[LetterId], corrected: bytes | None, *, force: bool
) -> list[ReplayPlan]:
    signatures, plans, refused = Signatures.of(settings), [], []
    for letter, settled in _letters(settings, places):
        try:
            plans.append(plan(letter, settled, settings.partitions, corrected, force, signatures))
        except NotReplayable as error:
            refused.append(str(error) if len(places) == 1 else f"{letter.id}: {error}")
    if refused:
        raise NotReplayable("; ".join(refused))
    return plans


def _letters(settings: Settings, places: Sequence[LetterId]) -> list[tuple[Letter, list[Settlement]]]:
    letterbox = Letterbox(settings)
    settled, wanted = letterbox.settled(), set(places)
    found = [(each, settled.get(each.id, [])) for each in letterbox.letters() if each.id in wanted]
    if missing := wanted - {letter.id for letter, _ in found}:
        raise LetterMissing(f"{', '.join(map(str, sorted(missing)))} not in {topics.DEAD_LETTERS}.")
    return found
