"""`saga provider-check`: the test kit for a service that is an HTTP provider."""

import asyncio
import json
import shlex
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import click

from saga_app.commands.render.output import CommandFailed, as_json, one_line_errors, show
from saga_app.core.order import Order
from saga_app.core.records import StepName
from saga_app.core.route import STEPS
from saga_app.effects.check import kit as test_kit
from saga_app.effects.check import rules
from saga_app.effects.check.killed import ServiceProcess, what_is_told_survives_a_kill
from saga_app.effects.check.kit import Broken, Kit
from saga_app.secret_values import secret_in

NAMES = [step.name.value for step in STEPS]


@click.command()
@click.argument("address")
@click.option("--step", required=True, type=click.Choice(NAMES), help="The step that the service is for.")
@click.option(
    "--order", type=click.Path(exists=True, dir_okay=False), help="JSON file: an order that is accepted."
)
@click.option(
    "--token-file", type=click.Path(exists=True, dir_okay=False), help="File with the bearer token."
)
@click.option(
    "--start", help="Command that starts the service; it is killed and started again, several times."
)
@click.option("--capture", is_flag=True, help="Also the rules for payments that are captured after shipping.")
@click.option("--patience", default=30.0, show_default=True, help="Seconds in which `pending` must end.")
@as_json
@one_line_errors
def provider_check(
    address: str,
    step: str,
    order: str | None,
    token_file: str | None,
    start: str | None,
    capture: bool,
    patience: float,
    as_json: bool,
) -> None:
    """Check a service that has the effects of a step: every verb repeated, out of order, at once, and killed.

    \b
    saga provider-check http://127.0.0.1:8900 --step shipping
    saga provider-check http://127.0.0.1:8900 --step shipping --start "python examples/carrier/carrier.py"

    It makes effects: ask a service that books nothing for real. docs/reference/provider.yaml is the contract.
    """
    options: dict[str, Any] = {"patience": patience}
    if token_file is not None:
        options["token"] = secret_in("--token-file", token_file)
    if order is not None:
        options["order"] = _order(Path(order))
    if capture and step != StepName.PAYMENT:
        raise CommandFailed("--capture is for --step payment: nothing else is captured")
    wanted = (*rules.RULES, *(rules.CAPTURE_RULES if capture else ()))
    opened = partial(Kit.open, address, StepName(step), **options)
    failed = asyncio.run(_check(opened, wanted, start, as_json))
    if failed:
        raise CommandFailed(f"{address} breaks {failed} rules: see docs/how-to/call-your-own-service.md")


async def _check(open_kit: Any, wanted: Iterable[rules.Rule], start: str | None, as_json: bool) -> int:
    failed = 0
    async with open_kit() as kit:
        async for rule, how in _results(kit, wanted, start):
            failed += how is not None
            machine = {"rule": rule, "ok": how is None, "how": how}
            show(machine, f"ok      {rule}" if how is None else f"BROKEN  {rule}: {how}", as_json=as_json)
    return failed


async def _results(
    kit: Kit, wanted: Iterable[rules.Rule], start: str | None
) -> AsyncIterator[tuple[str, str | None]]:
    """Each rule in words, and how it is broken."""
    service = None if start is None else ServiceProcess(shlex.split(start), kit)
    try:
        async with service or nullcontext():
            for rule in wanted:
                yield rules.sentence(rule), await rules.broken(rule, kit)
            if service is not None:
                killed = partial(what_is_told_survives_a_kill, service=service)
                yield rules.sentence(what_is_told_survives_a_kill), await rules.broken(killed, kit)
    except Broken as error:
        raise CommandFailed(str(error)) from error


def _order(file: Path) -> Mapping[str, Any]:
    """The order in the file; each check gives it an id of its own."""
    try:
        fields: Mapping[str, Any] = json.loads(file.read_text("utf-8"))
        Order.model_validate_json(json.dumps({**test_kit.ORDER, **fields}))
    except ValueError as error:
        raise CommandFailed(f"{file} has no order in normal form: {error}") from error
    return {**test_kit.ORDER, **fields}
