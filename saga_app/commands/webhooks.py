"""`saga webhooks`: posts outcomes to endpoints; lists what they have not taken, and sends it again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from itertools import islice
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click

from saga_app.commands.args import limit_option
from saga_app.commands.program import SagaGroup
from saga_app.commands.render.output import CommandFailed, as_json, one_line_errors, show
from saga_app.settings import Settings
from saga_app.text import printable

if TYPE_CHECKING:
    from saga_app.webhooks.endpoints import WebhookEndpoint

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@contextmanager
def _packages() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "standardwebhooks":
            raise
        raise CommandFailed(
            "webhooks need the package standardwebhooks; in the folder of this project: pip install '.[webhooks]'"
        ) from error


def needs_webhooks(command: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Says in one line which package is missing: workers do without it."""

    @wraps(command)
    def run(*args: Arguments.args, **options: Arguments.kwargs) -> Result:
        with _packages():
            return command(*args, **options)

    return run


@click.group(cls=SagaGroup)
def webhooks() -> None:
    """Post how orders ended to endpoints of the shop, signed, again and again until they take it.

    \b
    saga webhooks run                 posts until Ctrl-C
    saga webhooks list                the endpoints, and how far each is
    saga webhooks failed              what an endpoint has not taken
    saga webhooks resend shop --all   tries it again, for three days more
    saga webhooks send-test shop      one event, now

    SAGA_WEBHOOKS names the file with the endpoints: docs/how-to/webhooks.md.
    """


@webhooks.command()
@one_line_errors
@needs_webhooks
def run() -> None:
    """Post how orders end to every endpoint, until Ctrl-C or SIGTERM.

    \b
    saga webhooks run
    SAGA_WEBHOOKS=webhooks.toml saga webhooks run

    Each endpoint has a queue of its own, so a slow one delays no other. What is not taken is tried again for three
    days, always with the same id. It may be killed at any moment: nothing is lost, and some events are posted twice.
    Run as many as you like; they share the partitions.
    """
    import logging

    from saga_app.webhooks import process

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    process.run(Settings.read())


@webhooks.command("list")
@as_json
@one_line_errors
@needs_webhooks
def list_endpoints(as_json: bool) -> None:
    """List the endpoints: how many outcomes each has before it, and how many deliveries wait or failed.

    \b
    saga webhooks list
    """
    from saga_app.webhooks.endpoints import read_endpoints
    from saga_app.webhooks.look import backlogs

    settings = Settings.read()
    endpoints = read_endpoints(settings)
    backlog = backlogs(settings, [each.name for each in endpoints])
    for endpoint in endpoints:
        found = backlog[endpoint.name]
        machine = {
            "endpoint": endpoint.name,
            "url": endpoint.url,
            "disabled": endpoint.is_disabled,
            "events": sorted(endpoint.events),
            **found._asdict(),
        }
        state = "disabled  " if endpoint.is_disabled else ""
        people = f"{endpoint.name:<20}  {state}{found.in_words()}  {endpoint.url}"
        show(machine, printable(people), as_json=as_json)


@webhooks.command()
@click.option("--endpoint", metavar="NAME", help="Only of this endpoint.")
@click.option("--waiting", is_flag=True, help="Those too that are tried again by themselves.")
@limit_option
@as_json
@one_line_errors
@needs_webhooks
def failed(endpoint: str | None, waiting: bool, limit: int, as_json: bool) -> None:
    """List what endpoints have not taken in three days; it is kept for 30 days more.

    \b
    saga webhooks failed
    saga webhooks failed --waiting --endpoint shop --json
    """
    from saga_app.webhooks.board import deliveries
    from saga_app.webhooks.deliveries import DeliveryState
    from saga_app.webhooks.look import require_deliveries

    settings = Settings.read()
    require_deliveries(settings)
    found = (
        each
        for _, each in deliveries(settings)
        if endpoint in (None, each.endpoint) and (waiting or each.state is DeliveryState.FAILED)
    )
    for each in islice(found, limit):
        machine = each.model_dump(mode="json", exclude={"outcome"})
        show(machine, printable(each.in_words()), as_json=as_json)


@webhooks.command()
@click.argument("endpoint")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "everything", is_flag=True, help="All that have failed.")
@click.option(
    "--order", "order_id", metavar="ORDER", help="The outcome of this order, also if it was taken before."
)
@as_json
@one_line_errors
@needs_webhooks
def resend(
    endpoint: str, ids: tuple[str, ...], everything: bool, order_id: str | None, as_json: bool
) -> None:
    """Try again what ENDPOINT has not taken: events by their ids, all that failed, or the outcome of one order.

    \b
    saga webhooks resend shop 4711:120
    saga webhooks resend shop --all
    saga webhooks resend shop --order 4711

    The event keeps its id. It is tried at once, if `saga webhooks run` is up, and for three days more.
    """
    if (bool(ids) + everything + (order_id is not None)) != 1:
        raise click.UsageError("give ids, or --all, or --order")
    from saga_app.webhooks import look

    settings = Settings.read()
    of = _endpoint(settings, endpoint)
    look.require_deliveries(settings)
    sent = look.resend(settings, of.name, frozenset(ids), order_id)
    unknown = sorted(set(ids) - set(sent))
    show({"sent": sent, "unknown": unknown}, f"webhooks: {len(sent):,} will be tried again", as_json=as_json)
    if unknown or (order_id is not None and not sent):
        raise CommandFailed(
            f"not there: {', '.join(unknown) or order_id}; `saga webhooks failed --waiting` lists what is"
        )


@webhooks.command("send-test")
@click.argument("endpoint")
@as_json
@one_line_errors
@needs_webhooks
def send_test(endpoint: str, as_json: bool) -> None:
    """Post one event to ENDPOINT, now, and tell its answer; exit code 1 if it is not taken.

    \b
    saga webhooks send-test shop

    It is an `order.completed` of the order `webhook-test`, which nobody has placed. No broker is needed.
    """
    from saga_app.operator_log import log_action
    from saga_app.webhooks import trial

    settings = Settings.read()
    of = _endpoint(settings, endpoint)
    log_action(settings, "webhooks send-test", endpoint=of.name)
    tried = trial.send_test(of)
    if not tried.is_taken:
        raise CommandFailed(f"{of.name} has not taken it: {tried.answer}")
    show({"taken": True, "answer": tried.answer}, f"webhooks: taken: {tried.answer}", as_json=as_json)


def _endpoint(settings: Settings, name: str) -> "WebhookEndpoint":
    from saga_app.webhooks.endpoints import read_endpoints

    known = {each.name: each for each in read_endpoints(settings)}
    if name not in known:
        raise CommandFailed(f"{name!r} is none of the endpoints: {', '.join(known)}")
    return known[name]
