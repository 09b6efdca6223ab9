"""The operator log: each action of a person is one line of JSON, in the logger `saga.operator`.

Workers and `saga pages` have it in their log; with SAGA_OPERATOR_LOG every process appends it to that file.
"""

import json
import logging
import os
import pwd
import socket
from pathlib import Path
from typing import Any, Final

from saga_app.private_files import private_file
from saga_app.settings import Settings, SettingsError
from saga_app.times import now, written

_LOG: Final = logging.getLogger("saga.operator")


def actor(settings: Settings) -> str:
    """The person who acts: SAGA_ACTOR, or the user of the operating system on this machine."""
    return settings.actor or f"{_user()}@{socket.gethostname()}"[:100]


def log_action(settings: Settings, action: str, **details: Any) -> None:
    """Writes one line. Raises `SettingsError` if the file cannot be written."""
    line = {"time": written(now()), "actor": actor(settings), "action": action, **details}
    text = json.dumps(line, default=str)
    _LOG.info("%s", text)
    if settings.operator_log:
        file = Path(settings.operator_log)
        try:
            private_file(file)
            with file.open("a", encoding="utf-8") as stream:
                stream.write(text + "\n")
        except OSError as error:
            raise SettingsError(f"SAGA_OPERATOR_LOG is {str(file)!r}: {error.strerror}") from error


def log_to_stderr() -> None:
    """For a process that sets up no logging of its own, and stays: its log is stderr."""
    _LOG.addHandler(logging.StreamHandler())
    _LOG.setLevel(logging.INFO)
    _LOG.propagate = False


def _user() -> str:
    """The user's name; their number if this machine has no name for it, as in a container."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
