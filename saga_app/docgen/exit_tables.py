"""The tables of exit codes, from the enums that hold them."""

import re
from collections.abc import Iterable
from typing import Final

from saga_app.commands.exit_codes import CommandExit
from saga_app.engine.exit_codes import Exit, ExitCode, OtherExit

#: A document that a remedy names, as the terminal prints it too.
_DOCUMENT: Final = re.compile(r"\bdocs/([\w/-]+/([\w-]+)\.md)")


def worker() -> str:
    """The exit codes of a worker that ends by itself."""
    return _table(Exit)


def other() -> str:
    """The other exit codes of a worker."""
    return _table(OtherExit)


def command() -> str:
    """The exit codes of `saga`."""
    return _table(CommandExit)


def _table(codes: Iterable[ExitCode]) -> str:
    return "\n".join(["| code | name | cause | do |", "| --- | --- | --- | --- |", *map(_row, codes)])


def _row(code: ExitCode) -> str:
    remedy = _DOCUMENT.sub(r"[\2](../\1)", code.remedy)
    return f"| {code.value} | `{code.name}` | {code.cause} | {remedy} |"
