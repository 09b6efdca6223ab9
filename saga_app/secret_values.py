"""Secrets among the settings: read from files, and left out of what is shown."""

import re
from pathlib import Path
from typing import Final

from saga_app.security import SettingsError

#: The user and the password of an address, with or without a scheme: up to the last @, since a password may hold one.
_PASSWORD: Final = re.compile(
    r"^((?:[a-z][a-z0-9+.-]*:)?//)?([^:/@?#]*):(?!//).*@", re.IGNORECASE | re.DOTALL
)
#: At other addresses than databases, a user without a password is a key.
_KEY: Final = re.compile(r"^(https?://)[^:/@?#]+@", re.IGNORECASE)
_SECRET: Final = re.compile(
    r"([?&#;][^=&]*(?:password|passwd|pwd|secret|token|key|auth|sig)[^=&]*=)[^&]*", re.IGNORECASE
)


def without_password(url: str) -> str:
    """The address without its password and other secrets."""
    masked = _PASSWORD.sub(r"\1\2:***@", _SECRET.sub(r"\1***", url))
    return _KEY.sub(r"\1***@", masked)


def secret_in(name: str, file: str) -> str:
    """The secret in a file, which may end with a line break.

    An error does not name the file: by mistake, the setting may hold the secret itself.
    """
    try:
        secret = Path(file).read_text("utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise SettingsError(f"{name} names a file that cannot be read: {why}") from None
    if not secret:
        raise SettingsError(f"{name} names a file that is empty")
    return secret
