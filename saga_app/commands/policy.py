"""`saga policy`: the parameters of the rules are records too, so that a replay decides as it did."""

import uuid
from typing import Any

import click

from saga_app.commands.output import as_json, show, told
from saga_app.commands.sending import Sender, checked
from saga_app.settings import Settings

own_id = click.option(
    "--id", "policy_id", help="Id of the change: the same id twice counts once. [default: a new one]"
)


@click.group()
def policy() -> None:
    """Change the parameters of a rule, for all orders that are decided from now on.

    \b
    saga policy payment --limit 1500
    saga policy shipping --countries GB,FR
    """


@policy.command()
@click.option("--limit", required=True, help="Orders of this amount or more are refused, in any currency.")
@own_id
@as_json
@told
def payment(limit: str, policy_id: str | None, as_json: bool) -> None:
    """Change the payment limit (1000.00 until it is changed)."""
    _change({"limit": limit}, policy_id, as_json=as_json)


@policy.command()
@click.option(
    "--countries", required=True, help="Countries that are served: ISO 3166 alpha-2 codes, with commas."
)
@own_id
@as_json
@told
def shipping(countries: str, policy_id: str | None, as_json: bool) -> None:
    """Change the countries that are served (GB until it is changed)."""
    _change({"countries": [code.strip() for code in countries.split(",")]}, policy_id, as_json=as_json)


def _change(parameters: dict[str, Any], policy_id: str | None, *, as_json: bool) -> None:
    """One record with one id to every partition: each keeps its own copy of the rule."""
    policy_id = policy_id or uuid.uuid4().hex
    record = checked({"type": "PolicyChanged", "policy_id": policy_id, **parameters})
    sent = Sender(Settings.read()).send_everywhere(record)
    machine = {"policy_id": policy_id, "topic": sent[0].topic, "partitions": len(sent)}
    show(
        machine, f"policy {policy_id} sent to all {len(sent)} partitions of {sent[0].topic}", as_json=as_json
    )
