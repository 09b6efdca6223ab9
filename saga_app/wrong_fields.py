"""Says in people's words which fields of a record are wrong, and why: all of them in one line."""

from collections.abc import Mapping
from typing import Any, Final

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


def wrong_fields(error: ValidationError, most: int) -> str:
    """Every wrong field with its reason, in at most so many characters; of the rest, how many there are."""
    told: list[str] = []
    found = error.errors(include_url=False, include_input=False)
    for count, sentence in enumerate(map(_sentence, found)):
        rest = f"; and {len(found) - count} more"
        if told and len("; ".join([*told, sentence])) > most - len(rest):
            return "; ".join(told) + rest
        told.append(sentence[: most - len(rest)])
    return "; ".join(told)


def _sentence(error: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in error["loc"])
    context = error.get("ctx", {})
    if error["type"] == "string_pattern_mismatch":
        what = _NO_ID if ID in context["pattern"] else f"must have the form {context['pattern']}"
    else:
        words = _WORDS.get(error["type"])
        what = error["msg"] if words is None else words.format_map(context)
    return f"{where}: {what}" if where else str(what)
