"""The audit of one partition of `dead_letters`: it notes every letter that is there."""

from typing import Final

from saga_app import topics
from saga_app.audit.checkpoints import files
from saga_app.audit.checks.matching import FOUND, LETTER, Origin, SideWriter, letter_content
from saga_app.audit.context import AuditContext
from saga_app.audit.findings import Findings
from saga_app.dead_letters.format import REASON, letter_place, marked_place
from saga_app.kafka.chunks import chunks
from saga_app.kafka.headers import headers_of
from saga_app.kafka.messages import Place

#: The name of its file in a checkpoint, and of the rows in it that name settled letters.
_LETTERS: Final = "letters"
_SETTLED: Final = "settled"


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
    for chunk in chunks(context.settings.kafka, *place, first, limits.found[place]):
        for message in chunk:
            headers = headers_of(message)
            origin = letter_place(headers)
            if origin is not None:
                reason = (next(value for name, value in reversed(headers) if name == REASON) or b"").decode()
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
    if context.target is not None:
        rows = {**files.counts(findings), _SETTLED: [(letter, b"") for letter in sorted(settled)]}
        files.write(files.part(context.target, _LETTERS, place), rows)
    return findings
