"""`saga settings`: the effective settings and where each comes from."""

import click

from saga_app import settings as given
from saga_app.commands.output import as_json, show, told

#: A variable whose name has one of these is never printed.
SECRET = ("PASSWORD", "SECRET", "TOKEN", "KEY")


@click.command()
@as_json
@told
def settings(as_json: bool) -> None:
    """Print every setting: its value, where it comes from, and what it is."""
    for each in given.describe():
        if any(word in each["name"] for word in SECRET) and each["source"] != "default":
            each = {**each, "value": "(hidden)"}
        show(
            each,
            f"{each['name']:<18} {each['value']:<22} {each['source']:<12} {each['help']}",
            as_json=as_json,
        )
