"""The audit of one partition of `dead_letters`: it notes every letter that is there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from saga_app import topics
from saga_app.audit.checkpoints import files
from saga_app.audit.checks.matching import FOUND, LETTER, Origin, SideWriter, letter_content
from saga_app.audit.context import AuditContext
from saga_app.audit.cuts import CannotTell
from saga_app.audit.findings import Findings
from saga_app.core.errors import Fault
from saga_app.core.numbers import Offset
from saga_app.dead_letters.format import REASON, Headers, LetterId, letter_place, marked_place
from saga_app.dead_letters.letter import text
from saga_app.kafka.chunks import chunks
from saga_app.kafka.headers import headers_of
from saga_app.kafka.messages import Place
from saga_app.settings import Settings
from saga_app.signing_keys import NEVER
from saga_app.times import now

#: The name of its file in a checkpoint, and of the rows in it that name settled letters.
_LETTERS: Final = "letters"
_SETTLED: Final = "settled"
#: The end of the names of files in the folder of scratch files, one for each partition that lost its beginning: every
#: letter that is gone was written at this time, in milliseconds, or earlier.
_GONE: Final = "gone-until"


def read_letters(context: AuditContext, partition: int) -> Findings:
    """Notes every letter as found; counts the settled ones and the records that no worker wrote."""
    findings = Findings()
    side = SideWriter(context.folder, FOUND, f"letters-{partition}")
    place: Place = (topics.DEAD_LETTERS, partition)
    #: A letter may have several markers: it was replayed again, or two people dismissed it at the same time.
    settled: set[bytes] = set()
    if context.base is not None:
        kept = files.load(files.part(context.base, _LETTERS, place), {})
        files.resume_counts(kept, findings)
        settled.update(kept.get(_SETTLED, {}))
    limits = context.limits
    first = max(limits.first[place], limits.start(place))
    #: Kafka's time of the first letter that is there.
    oldest: int | None = None
    for chunk in chunks(context.settings.kafka, *place, first, limits.found[place]):
        for message in chunk:
            oldest = message.timestamp()[1] if oldest is None else oldest
            headers = headers_of(message)
            origin = letter_place(headers)
            if origin is not None:
                reason = _reason(headers)
                must_know_signatures(context.settings, origin, reason)
                content = letter_content((origin.topic, origin.partition), origin.offset, reason)
                side.add(
                    LETTER, content, Origin(*place, message.offset(), f"dead letter {reason} of {origin}")
                )
            elif (marked := marked_place(headers)) is not None:
                letter = str(marked).encode()
                findings.count("I8", "letters settled", letter not in settled)
                settled.add(letter)
            else:
                findings.count("I8", "foreign records in dead_letters")
    side.close()
    if limits.first[place] > limits.start(place):
        until = _last_deletion(context.settings) if oldest is None else oldest + context.skew
        if until is not None:
            (context.folder / f"{partition}.{_GONE}").write_text(str(until), "utf-8")
    if context.target is not None:
        rows = {**files.counts(findings), _SETTLED: [(letter, b"") for letter in sorted(settled)]}
        files.write(files.part(context.target, _LETTERS, place), rows)
    return findings


def gone_until(folder: Path) -> int | None:
    """The letters of records up to this time, in milliseconds, may be gone; None if all letters must be there."""
    return max((int(path.read_text("utf-8")) for path in folder.glob(f"*.{_GONE}")), default=None)


def _last_deletion(settings: Settings) -> int | None:
    """The time before which retention may have deleted letters, where no letter is left to tell."""
    kept = settings.dead_letter_retention
    return None if kept is None else now() - int(kept.total_seconds() * 1000)


def must_know_signatures(settings: Settings, origin: LetterId, reason: str) -> None:
    """Raises `CannotTell` for a letter of workers that need signatures, if these settings do not.

    The refold would take what the workers refused, and everything that follows would look like a breach.
    """
    if reason == Fault.NOT_SIGNED and not settings.signed_since:
        raise CannotTell(
            f"{origin} is a dead letter {reason}: workers need signatures, and SAGA_SIGNED_SINCE is not set here; give "
            "this command SAGA_SIGNED_SINCE and SAGA_SIGNING_KEYS as the workers have them; if none needed any, "
            f"somebody forged this letter: SAGA_SIGNED_SINCE={NEVER}"
        )


def look_for_signatures(settings: Settings, ends: Mapping[Place, Offset]) -> None:
    """Raises `CannotTell` if workers need signatures, unlike these settings: reads `dead_letters` up to these ends."""
    if settings.signed_since:
        return
    for place, end in ends.items():
        for chunk in chunks(settings.kafka, *place, 0, end):
            for message in chunk:
                headers = headers_of(message)
                if (origin := letter_place(headers)) is not None:
                    must_know_signatures(settings, origin, _reason(headers))


def _reason(headers: Headers) -> str:
    """The reason of a letter: of two headers with one name the last one counts."""
    return text(next(value for name, value in reversed(headers) if name == REASON))
