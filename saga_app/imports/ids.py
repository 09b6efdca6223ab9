"""Ids of other systems as ids of ours: the same one always becomes the same one."""

import re
from hashlib import blake2b
from typing import Final

from saga_app.core.fields import ID

_TAKEN: Final = re.compile(ID)
_OTHERS: Final = re.compile(r"[^A-Za-z0-9._]+")
#: Characters of an id, and hex digits that tell two ids apart of which the readable parts are the same.
_LONGEST: Final = 64
_DIGITS: Final = 10


def saga_id(text: str) -> str:
    """The text itself if it is an id; else its readable part, a hyphen, and a hash of it.

    `MUG RED/L` becomes `MUG-RED-L-` and ten hex digits. Two texts that look alike never become one article.
    """
    if _TAKEN.fullmatch(text):
        return text
    readable = _OTHERS.sub("-", text).strip("-.")[: _LONGEST - _DIGITS - 1].rstrip("-.") or "id"
    return (
        f"{readable}-{blake2b(text.encode('utf-8', 'surrogatepass'), digest_size=_DIGITS // 2).hexdigest()}"
    )
