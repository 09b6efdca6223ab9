"""`saga settings`: the effective settings, each with its source."""

from typing import Final

import click

from saga_app import settings as given
from saga_app.commands.render.listing import Column, Listing, show_rows
from saga_app.commands.render.output import Output, as_list, one_line_errors
from saga_app.settings import Settings
from saga_app.text import printable
from saga_app.timeouts import PROFILES

_FIELDS: Final = ("name", "value", "source", "help")
SETTINGS: Final = Listing(
    [
        Column("name", lambda row, screen: row["name"]),
        Column("value", lambda row, screen: printable(row["value"])),
        Column("source", lambda row, screen: row["source"]),
        Column("help", lambda row, screen: row["help"]),
    ],
    lambda row: row,
    lambda row: str(row["name"]),
    _FIELDS,
    "no settings",
)


@click.command()
@as_list
@one_line_errors
def settings(output: Output) -> None:
    """Print every setting: its value, where it comes from, and what it is.

    \b
    saga settings
    saga settings -o csv > settings.csv
    SAGA_PARTITIONS=4 saga settings --json
    """
    show_rows(SETTINGS, [{**each, "value": _value(each)} for each in given.describe()], output)


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
