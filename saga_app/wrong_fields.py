"""Says in people's words which fields of a record are wrong, and why: one by one, or all of them in one line."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from saga_app.core.fields import ID

#: By pydantic's type of error.
_WORDS: Final = {
    "missing": "is missing",
    "extra_forbidden": "is no field of this record",
    "string_type": "must be a string",
    "string_too_long": "must have at most {max_length} characters",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "model_type": "must be an object with fields",
    "tuple_type": "must be a list",
    "bool_type": "must be true or false",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "value_error": "{error}",
}
_NO_ID: Final = "must be 1 to 64 of A-Z a-z 0-9 . _ - and begin with none of . -"


class WrongField(NamedTuple):
    """A wrong field: its path, of names and places in lists from 0 on, and the reason. A whole record has no path."""

    path: tuple[str | int, ...]
    why: str

    def in_words(self) -> str:
        """For a line."""
        return f"{'.'.join(map(str, self.path))}: {self.why}" if self.path else self.why


def each_wrong_field(error: ValidationError) -> list[WrongField]:
    """Every wrong field with its reason."""
    return [_wrong(found) for found in error.errors(include_url=False, include_input=False)]


def wrong_fields(found: Iterable[WrongField], most: int) -> str:
    """All in one line, in at most so many characters; of the rest, how many there are."""
    told: list[str] = []
    sentences = [each.in_words() for each in found]
    for count, sentence in enumerate(sentences):
        rest = f"; and {len(sentences) - count} more"
        if told and len("; ".join([*told, sentence])) > most - len(rest):
            return "; ".join(told) + rest
        told.append(sentence[: most - len(rest)])
    return "; ".join(told)


def _wrong(error: Mapping[str, Any]) -> WrongField:
    context = error.get("ctx", {})
    if error["type"] == "string_pattern_mismatch":
        why = _NO_ID if ID in context["pattern"] else f"must have the form {context['pattern']}"
    else:
        words = _WORDS.get(error["type"])
        why = error["msg"] if words is None else words.format_map(context)
    return WrongField(tuple(error["loc"]), str(why))
