"""Places of records in addresses."""

from saga_app.dead_letters.format import LetterId
from saga_app.web.view import InvalidAddress


def place(text: str) -> LetterId:
    """The place of a record, from TOPIC:PARTITION:OFFSET. Raises `InvalidAddress`."""
    found = LetterId.parse(text)
    if found is None:
        raise InvalidAddress(
            f"{text[:80]!r} is no place of a record; they are written TOPIC:PARTITION:OFFSET."
        )
    return found
