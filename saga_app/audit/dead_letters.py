"""The audit of one partition of `dead_letters`: it notes every letter that is there."""

from typing import Final

from saga_app import topics
from saga_app.audit.checkpoints import files
from saga_app.audit.checks.matching import FOUND, LETTER, Origin, SideWriter, letter_content
from saga_app.audit.context import AuditContext
from saga_app.audit.findings import Findings
from saga_app.dead_letters.format import REASON, letter_place, marked_place
from saga_app.dead_letters.letter import text
from saga_app.kafka.chunks import chunks
from saga_app.kafka.headers import headers_of
from saga_app.kafka.messages import Place

#: The name of its file in a checkpoint.
_LETTERS: Final = "letters"


def read_letters(context: AuditContext, partition: int) -> Findings:
    """Notes every letter as found; counts the markers that settle letters and the records that no worker wrote."""
    findings = Findings()
    side = SideWriter(context.folder, FOUND, f"letters-{partition}")
    place: Place = (topics.DEAD_LETTERS, partition)
    if context.base is not None:
        files.resume_counts(files.load(files.part(context.base, _LETTERS, place), {}), findings)
    limits = context.limits
    first = max(limits.first[place], limits.start(place))
    for chunk in chunks(context.settings.kafka, *place, first, limits.found[place]):
        for message in chunk:
            headers = headers_of(message)
            origin = letter_place(headers)
            if origin is not None:
                reason = text(next(value for name, value in reversed(headers) if name == REASON))
                content = letter_content((origin.topic, origin.partition), origin.offset, reason)
                side.add(
                    LETTER, content, Origin(*place, message.offset(), f"dead letter {reason} of {origin}")
                )
            elif marked_place(headers) is not None:
                findings.count("I8", "letters settled")
            else:
                findings.count("I8", "foreign records in dead_letters")
    side.close()
    if context.target is not None:
        files.write(files.part(context.target, _LETTERS, place), files.counts(findings))
    return findings
