"""Actions on one dead letter, for pages and the API: try, replay, dismiss. Blocking, so they run in a thread."""

from saga_app import topics
from saga_app.dead_letters.format import LetterId, dismissal
from saga_app.dead_letters.letter import Letter, Settlement
from saga_app.dead_letters.reader import Letterbox
from saga_app.dead_letters.replay import ReplayPlan, plan
from saga_app.dead_letters.resend import post
from saga_app.kafka.sender import Sender
from saga_app.kafka.signatures import Signatures
from saga_app.settings import Settings


class LetterMissing(Exception):
    """There is no such letter; the message names it."""


def dry_run(settings: Settings, place: LetterId) -> ReplayPlan:
    """Returns the records that a replay would send. Raises `NotReplayable` if it would be refused, `LetterMissing`."""
    letter, settled = _letter(settings, place)
    return plan(letter, settled, settings.partitions, signatures=Signatures.of(settings))


def replay(settings: Settings, place: LetterId, *, force: bool) -> list[LetterId]:
    """Sends the letter again, and marks it; returns the new places. Raises as `dry_run`."""
    letter, settled = _letter(settings, place)
    signatures = Signatures.of(settings)
    planned = plan(letter, settled, settings.partitions, force=force, signatures=signatures)
    (places,) = post(Sender(settings), [planned])
    return places


def dismiss(settings: Settings, place: LetterId, note: str) -> None:
    """Settles the letter without sending it; one that is settled is left as it is. Raises `LetterMissing`."""
    letter, settled = _letter(settings, place)
    if not settled:
        Sender(settings).post([dismissal(letter.id, letter.store, note)])


def _letter(settings: Settings, place: LetterId) -> tuple[Letter, list[Settlement]]:
    letterbox = Letterbox(settings)
    settled = letterbox.settled().get(place, [])
    for letter in letterbox.letters():
        if letter.id == place:
            return letter, settled
    raise LetterMissing(f"{place} is not in {topics.DEAD_LETTERS}.")
