"""`saga settings`: the effective settings, each with its source."""

import click

from saga_app import settings as given
from saga_app.commands.render.output import as_json, one_line_errors, show
from saga_app.settings import Settings
from saga_app.timeouts import PROFILES


@click.command()
@as_json
@one_line_errors
def settings(as_json: bool) -> None:
    """Print every setting: its value, where it comes from, and what it is.

    \b
    saga settings
    SAGA_PARTITIONS=4 saga settings --json
    """
    described = [{**each, "value": _value(each)} for each in given.describe()]
    widths = {column: max(len(each[column]) for each in described) for column in ("name", "value", "source")}
    for each in described:
        columns = (each[column].ljust(width) for column, width in widths.items())
        show(each, "  ".join((*columns, each["help"])), as_json=as_json)


def _value(setting: dict[str, str]) -> str:
    """The effective value, also if it follows from another setting."""
    name, value = setting["name"], setting["value"]
    if setting["source"] == "default":
        effective = Settings.read()
        if name == "SAGA_WEB_URL":
            return effective.canonical_url
        if name == "SAGA_PROFILE":
            return next(profile for profile, times in PROFILES.items() if times == effective.timeouts)
        if name == "SAGA_SECURITY":
            return effective.security.protocol
    return value
