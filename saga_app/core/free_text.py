"""Free text that an order carries for its shop: a reference and metadata, never interpreted.

In the bytes of an order metadata are pairs and no object: no name in them is followed by a colon, so none can be
mistaken for a field, and every quote in a text is escaped.
"""

from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from pydantic_core import to_json

#: Characters of a name and of a text, pairs, and bytes of all pairs as JSON.
LONGEST_REFERENCE: Final = 128
LONGEST_NAME: Final = 40
LONGEST_TEXT: Final = 500
MOST_PAIRS: Final = 20
MOST_BYTES: Final = 2_048

#: No control character: it would move the cursor of a terminal. A text may have tabs and more lines than one.
_CONTROL: Final = r"\u0000-\u001F\u007F-\u009F"
_IN_TEXTS: Final = r"\u0000-\u0008\u000B-\u001F\u007F-\u009F"
FreeReference = Annotated[
    str, StringConstraints(max_length=LONGEST_REFERENCE, min_length=1, pattern=f"^[^{_CONTROL}]+$")
]
_Name = Annotated[str, StringConstraints(max_length=LONGEST_NAME, min_length=1, pattern=f"^[^{_CONTROL}]+$")]
_Text = Annotated[str, StringConstraints(max_length=LONGEST_TEXT, pattern=f"^[^{_IN_TEXTS}]*$")]
Pairs = tuple[tuple[str, str], ...]


def pairs(named: dict[str, str] | None) -> Pairs | None:
    """Metadata in normal form: sorted by name; none at all are left out."""
    return tuple(sorted(named.items())) if named else None


def spelled(value: str | Pairs) -> str:
    """The one spelling as JSON."""
    return to_json(value).decode()


def _small(named: dict[str, str]) -> dict[str, str]:
    size = len(to_json(pairs(named)))
    if size > MOST_BYTES:
        raise ValueError(f"metadata take {size} bytes; they may take {MOST_BYTES}")
    return named


def _normal(found: Pairs) -> Pairs:
    if list(found) != sorted(dict(found).items()):
        raise ValueError("the metadata are not sorted by name, or name something twice")
    _small(dict(found))
    return found


def _as_tuples(value: Any) -> Any:
    return (
        tuple(tuple(each) if isinstance(each, list) else each for each in value)
        if isinstance(value, list)
        else value
    )


#: As people write them.
Metadata = Annotated[dict[_Name, _Text], Field(max_length=MOST_PAIRS), AfterValidator(_small)]
#: As an order carries them.
MetadataPairs = Annotated[
    tuple[tuple[_Name, _Text], ...],
    Field(min_length=1, max_length=MOST_PAIRS),
    AfterValidator(_normal),
    BeforeValidator(_as_tuples),
]
