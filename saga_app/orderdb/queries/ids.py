"""Ids in questions: those that can exist, and those that begin with some characters."""

import re
from typing import Any, Final

from sqlalchemy import ColumnElement

from saga_app.core import fields

_ID: Final = re.compile(fields.ID)
#: Behind every character that an id may have.
_BEHIND: Final = "\x7f"


def is_id(text: str) -> bool:
    """True if an order, a customer or an article can have this id."""
    return _ID.fullmatch(text) is not None


def begins(column: ColumnElement[Any], prefix: str) -> ColumnElement[bool]:
    """A condition on a prefix, as a range of ids: LIKE may use no index, has wildcards, and may ignore case."""
    return (column >= prefix) & (column < prefix + _BEHIND)
