"""`saga settings`: the effective settings and where each comes from."""

from typing import Final

import click

from saga_app import settings as given
from saga_app.commands.output import as_json, show, told
from saga_app.settings import PROFILES, Settings, without_password

#: The value of a variable whose name has one of these is never printed.
SECRET: Final = ("PASSWORD", "SECRET", "TOKEN", "KEY")


@click.command()
@as_json
@told
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
    """What is in effect, also where it follows from another setting; hidden if it is a secret."""
    name, value = setting["name"], setting["value"]
    if any(word in name for word in SECRET) and setting["source"] != "default":
        return "(hidden)"
    if setting["source"] == "default":
        effective = Settings.read()
        if name == "SAGA_WEB_URL":
            return effective.canonical_url
        if name == "SAGA_PROFILE":
            return next(profile for profile, times in PROFILES.items() if times == effective.timeouts)
    return without_password(value)
