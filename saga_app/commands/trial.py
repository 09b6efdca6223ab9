"""`saga try`: what would become of an order, decided by the real rules on a copy of the state."""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from saga_app.commands.exit_codes import CommandExit
from saga_app.commands.needs_topics import require_topics
from saga_app.commands.order_input import WrittenOrder, open_text, orders_in
from saga_app.commands.render.output import as_json, one_line_errors, print_error, show
from saga_app.commands.render.progress import progress_of
from saga_app.commands.render.terminal import Screen
from saga_app.core.errors import Rejected
from saga_app.settings import Settings

if TYPE_CHECKING:
    from saga_app.audit.trial import Tried

#: The exit codes by outcome; of several orders the first of these that there is counts.
_CODES: Final = {
    "invalid": CommandExit.WRONG_INPUT,
    "dead_letter": CommandExit.FAILED,
    "waiting": CommandExit.NOT_ENDED,
    "cancelled": CommandExit.CANCELLED,
    "completed": CommandExit.DONE,
}


@click.command("try")
@click.argument("order", required=False, metavar="[FILE | ORDER_JSON | -]")
@click.option(
    "--provider",
    metavar="NAME",
    help="Place real orders at this provider instead, which must be in test mode.",
)
@as_json
@one_line_errors
def try_orders(order: str | None, provider: str | None, as_json: bool) -> None:
    """Tell what would become of orders now, by the real rules, and send nothing.

    \b
    saga try order.json
    saga try --provider stripe
    saga try '{"order_id": 7, "customer_id": "ada", "amount": "19.99"}'
    saga try orders.jsonl -o json | jq -r 'select(.outcome != "completed") | .order_id'

    It copies the state of the partitions that the order passes through from their changelogs, and decides the records
    that wait there; then the order, and all that follows from it. Of several orders each sees what those before it
    did. Exit codes: 0 all would be completed; 3 one would be cancelled; 1 one would become a dead letter; 2 one is no
    order; 4 one would wait. Another order, a deposit or a policy that comes before it may change the answer.

    With --provider it is the only one that sends: four orders of 1.00 GBP, paid at the provider with a saved card, with
    a payment that the customer has begun, with a card that is declined, and with one that is paid and given back. It
    follows them to their end, and asks the provider what it has: exit code 1 if one is not as it must be. It refuses a
    provider, or a carrier in force, that is not in test mode.
    """
    # Imported here, because it loads the agents.
    from saga_app.audit.trial import OrderTrial

    settings = Settings.read()
    if (order is None) == (provider is None):
        raise click.UsageError("name an order to try, or --provider")
    if provider is not None:
        from saga_app.commands.provider_trial import try_provider

        require_topics(settings)
        raise SystemExit(try_provider(settings, provider, as_json=as_json))
    assert order is not None
    orders = list(_orders(order))
    outcomes = ["invalid" for each in orders if isinstance(each.order, Rejected)]
    for each in orders:
        if isinstance(each.order, Rejected):
            print_error(f"line {each.line}: {each.order.fault}: {each.order.detail}")
    good = [each.order for each in orders if not isinstance(each.order, Rejected)]
    if good:
        require_topics(settings)
        with (
            tempfile.TemporaryDirectory(prefix="saga-try-") as folder,
            OrderTrial(settings, Path(folder), progress_of("try", as_json=as_json)) as trial,
        ):
            for record in good:
                told = _told(trial.place(record))
                outcomes.append(told["outcome"])
                show(told, _in_words(told, Screen.of_output()), as_json=as_json)
    raise SystemExit(next((code for outcome, code in _CODES.items() if outcome in outcomes), 0))


def _orders(order: str) -> Iterable[WrittenOrder]:
    if order.lstrip().startswith(("{", "[")):
        return orders_in(open_text(order))
    try:
        with click.open_file(order, "rb") as file:
            return list(orders_in(file))
    except OSError as error:
        raise click.UsageError(
            f"{order}: {error.strerror}; an order is given as JSON, or in a file"
        ) from error


def _told(tried: "Tried") -> dict[str, Any]:
    """The outcome for machines."""
    from saga_app.audit.history.describe import in_words
    from saga_app.audit.trial import has_failed
    from saga_app.core.labels import why
    from saga_app.core.rows import OPEN_STATUSES, Status

    row = tried.row
    reason = getattr(row, "reason", None)
    would_be, has_not = ("is", "has not ended") if tried.known else ("would be", "would not end by itself")
    because = "" if reason is None else f": {why(reason)}"
    if has_failed(tried):
        outcome, words = "dead_letter", "would become a dead letter"
    elif row is None or row.status in OPEN_STATUSES:
        outcome, words = "waiting", has_not
    elif row.status is Status.COMPLETED:
        outcome, words = "completed", f"{would_be} completed"
    else:
        outcome, words = "cancelled", f"{would_be} cancelled{because}"
    if tried.known and outcome != "dead_letter":
        words = f"was placed before and {words}; placing it again would change nothing"
    return {
        "order_id": tried.order_id,
        "outcome": outcome,
        "reason": reason,
        "step": getattr(row, "step", None),
        "known": tried.known,
        "words": words,
        "records": [
            {
                "topic": event.place[0],
                "type": event.record.type,
                "verdict": None if event.outcome is None else event.outcome.verdict,
                "words": in_words(event),
            }
            for event in tried.events
        ],
    }


def _in_words(told: dict[str, Any], screen: Screen) -> str:
    fg = {"completed": "green", "waiting": "yellow"}.get(told["outcome"], "red")
    head = f"{screen.paint(told['order_id'], bold=True)}  {screen.paint(told['words'], fg=fg)}"
    longest = max(len(each["topic"]) for each in told["records"])
    lines = (f"  {each['topic']:<{longest}}  {each['words']}" for each in told["records"])
    return "\n".join((head, *lines))
