"""`saga policy`: changes a rule by a record, so that a replay decides as the workers did; shows what is in force."""

import uuid
from typing import Any

import click

from saga_app import urls
from saga_app.commands.health_line import warn_without_workers
from saga_app.commands.program import SagaGroup
from saga_app.commands.render.output import CommandFailed, as_json, one_line_errors, show
from saga_app.core import patience as patient
from saga_app.core import route as routes
from saga_app.core import shipping as shipments
from saga_app.core.records import StepName
from saga_app.health.rules import in_force
from saga_app.kafka.reachable import require_broker
from saga_app.kafka.sender import DeliveryUnknown, Sender, checked
from saga_app.settings import Settings

own_id = click.option(
    "--id", "policy_id", metavar="ID", help="The same id twice counts once. [default: a new one]"
)


@click.group(cls=SagaGroup, invoke_without_command=True)
@as_json
@click.pass_context
@one_line_errors
def policy(context: click.Context, as_json: bool) -> None:
    """Change the parameters of a rule, for all orders that are decided from now on; alone, show what is in force.

    \b
    saga policy
    saga policy payment --limit 1500
    saga policy shipping --countries GB,FR
    saga policy checkout --route payment,inventory,shipping
    saga policy checkout --patience 3600

    Alone it reads the changelogs of the three journals. It has one line for each rule that is in force; exit code 1 if
    the partitions of a service have different ones.
    """
    if context.invoked_subcommand is None:
        _show_in_force(Settings.read(), as_json=as_json)


def _show_in_force(settings: Settings, *, as_json: bool) -> None:
    require_broker(settings)
    disagree = []
    for service, found in in_force(settings).items():
        for rule, partitions in found.items():
            machine = {**rule._asdict(), "partitions": partitions}
            where = f"all {settings.partitions} partitions" if len(found) == 1 else f"partitions {partitions}"
            show(machine, f"{rule.service:<10}{rule.in_words()}, in {where}", as_json=as_json)
        if len(found) > 1:
            disagree.append(service)
    if disagree:
        raise CommandFailed(
            f"the partitions of {', '.join(disagree)} have different rules; if this stays so, send the rule again "
            "under a new id"
        )


@policy.command()
@click.option(
    "--limit",
    metavar="AMOUNT",
    required=True,
    help="Orders of this amount or more are refused, in any currency.",
)
@own_id
@as_json
@one_line_errors
def payment(limit: str, policy_id: str | None, as_json: bool) -> None:
    """Change the payment limit (1000.00 until it is changed).

    \b
    saga policy payment --limit 1500
    """
    _change({"limit": limit}, "payments", policy_id, as_json=as_json)


@policy.command()
@click.option(
    "--countries",
    metavar="CODES",
    help="All countries that are served: ISO 3166 alpha-2 codes, with commas.",
)
@click.option(
    "--carrier",
    metavar="PROVIDER",
    help=f"The provider that books shipments; {shipments.NOBODY}: the service itself does.",
)
@own_id
@as_json
@one_line_errors
def shipping(countries: str | None, carrier: str | None, policy_id: str | None, as_json: bool) -> None:
    """Change the countries that are served (GB until it is changed), or who books shipments.

    \b
    saga policy shipping --countries GB,FR
    saga policy shipping --carrier courier

    What is not named stays as it is.
    """
    if (countries is None) == (carrier is None):
        raise click.UsageError("a policy has either --countries or --carrier")
    named: dict[str, Any] = {"carrier": carrier}
    if countries is not None:
        named = {"countries": [code.strip() for code in countries.split(",")]}
    _change(named, "shipments", policy_id, as_json=as_json)


@policy.command()
@click.option(
    "--route",
    metavar="STEPS",
    help="The steps that orders pass, in sequence, with commas; those of your own are modules in SAGA_STEPS.",
)
@click.option(
    "--patience",
    metavar="SECONDS",
    type=click.IntRange(1, patient.LONGEST),
    help="New orders that do not say it themselves are given up after so long.",
)
@own_id
@as_json
@one_line_errors
def checkout(route: str | None, patience: int | None, policy_id: str | None, as_json: bool) -> None:
    """Change the route of the orders that are placed from now on, or how long they may take (930 seconds at first).

    \b
    saga policy checkout --route payment,inventory,shipping
    saga policy checkout --route payment,inventory,shipping,capture
    saga policy checkout --route fraud_check,payment,inventory,shipping
    saga policy checkout --patience 3600

    An order under way keeps its own, and what is not named stays as it is. With capture, payments at a provider are
    authorised first, and the money is taken after shipping. Every worker must know the steps of a route: set SAGA_STEPS
    and restart all of them first.
    """
    if (route is None) == (patience is None):
        raise click.UsageError("a policy has either --route or --patience")
    named = {"patience": patience} if route is None else {"route": _steps(route)}
    _change(named, "orders", policy_id, as_json=as_json)


def _steps(route: str) -> list[str]:
    names = [name.strip() for name in route.split(",")]
    known = [str(step.name) for step in routes.NAMED]
    if unknown := [name for name in names if name not in known]:
        raise click.BadParameter(
            f"{unknown[0]!r} is none of {', '.join(known)}; SAGA_STEPS names the modules of further steps",
            param_hint="--route",
        )
    try:
        routes.check(map(StepName, names))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--route") from None
    return names


def _change(parameters: dict[str, Any], journal: str, policy_id: str | None, *, as_json: bool) -> None:
    """Sends one record; the saga itself takes it to every partition."""
    settings = Settings.read()
    policy_id = policy_id or uuid.uuid4().hex
    record = checked({"type": "PolicyChanged", "policy_id": policy_id, **parameters})
    try:
        sent = Sender(settings).send(record)
    except DeliveryUnknown as error:
        raise CommandFailed(
            f"{error}; the record may be there all the same, so send it again with --id {policy_id}"
        ) from error
    page = settings.canonical_url + urls.row(journal, f"policy:{policy_id}")
    machine = {"policy_id": policy_id, **sent._asdict(), "page": page}
    people = f"policy {policy_id} {sent}; a worker takes it to all partitions; see {page}"
    show(machine, people, as_json=as_json)
    warn_without_workers(settings)
