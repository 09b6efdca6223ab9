"""Errors that commands meet, in one line."""

import click
import pytest
from click.testing import CliRunner

from saga_app.commands.audit import audit_errors
from saga_app.commands.render.output import FAILED, one_line_errors


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (TimeoutError("no records of inbox[3] for 30 s"), "no records of inbox[3] for 30 s; `saga doctor`"),
        (TimeoutError(), "no answer; `saga doctor`"),
        (PermissionError(13, "Permission denied", "audits"), "audits: Permission denied; no checkpoint"),
    ],
)
def test_a_silent_broker_and_a_file_are_told_apart(error: OSError, line: str) -> None:
    """Python calls both an `OSError`; only one of them has a file."""

    @click.command()
    @one_line_errors
    def command() -> None:
        with audit_errors():
            raise error

    result = CliRunner().invoke(command)
    assert result.exit_code == FAILED and line in result.stderr
