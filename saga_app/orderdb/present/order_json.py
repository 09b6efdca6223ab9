"""One order as JSON. `docs/reference/output.md` explains the keys. No SQL here."""

from typing import Any

from saga_app.core.amounts import PARTS
from saga_app.orderdb.present.summary import cancelled_first_in_words, sentence, untaken_in_words
from saga_app.orderdb.present.timeline import timeline
from saga_app.orderdb.queries.order import OrderDetails
from saga_app.times import written

_TIMES = ("placed_at", "since", "ended_at")
_FACTS = (
    "reason",
    "step",
    "customer_id",
    "warehouse",
    "country",
    "currency",
    "amount",
    "patience",
    "reference",
    "tries",
)


def as_json(found: OrderDetails, now: int) -> dict[str, Any]:
    """The whole order; a value that is not known (yet) is null. Times in ISO 8601, amounts as strings."""
    order, status = found.order or found.untaken or {}, found.status
    summary = None if status is None else sentence(status)
    words = None if summary is None else summary.in_words(now)
    if found.untaken is not None:
        words = untaken_in_words(found.untaken, now)
    if found.cancelled_first is not None:
        words = cancelled_first_in_words(found.cancelled_first, now)
    waits = None if status is None else status.waits_for()
    return {
        "order_id": found.order_id,
        "status": order.get("status"),
        "words": words,
        "waits_for": waits and {"service": waits.service, "request": waits.request, "undoing": waits.undoing},
        "next": [{"at": written(each.at), "what": each.what} for each in (summary.next if summary else ())],
        **{name: order.get(name) for name in _FACTS},
        **{name: order.get(f"{name}_amount") for name in PARTS},
        **{name: _time(order.get(name)) for name in _TIMES},
        "metadata": found.metadata,
        "lines": [{"sku": each["sku"], "quantity": each["quantity"]} for each in found.lines],
        "steps": [
            {"step": name, "state": done.state, "at": _time(done.at), "undone_at": _time(done.undone_at)}
            for name, done in (status.steps if status else {}).items()
        ],
        "timeline": [
            {"at": written(line.at), "what": line.what, "place": line.place, "dead": line.dead}
            for line in timeline(found.events, found.letters, found.steps, found.patience)
        ],
        "dead_letters": [_letter(each) for each in found.letters],
    }


def _letter(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "time": written(row["time"]),
        "reason": row["reason"],
        "detail": row["detail"],
        "replayed": [written(each["time"]) for each in row["replays"]],
        "dismissed": [each["note"] for each in row["dismissals"]],
    }


def _time(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else written(milliseconds)
