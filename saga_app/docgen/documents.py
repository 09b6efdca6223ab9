"""The generated parts of the documents: diagrams, records, topics, settings. `scripts/docs` writes them."""

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import tables
from saga_app import topics, wire
from saga_app.api.connections import MOST_CONNECTIONS
from saga_app.api.events import MOST_STREAMS
from saga_app.api.placing import MOST_WAITING
from saga_app.api.waits import LONGEST_WAIT
from saga_app.core import money, records
from saga_app.core.errors import Fault
from saga_app.core.fields import LARGEST_QUANTITY, MOST_LINES, Model
from saga_app.core.refund import MOST_REFUNDS
from saga_app.dead_letters import format as letter_format
from saga_app.dead_letters.budget import MOST_A_MINUTE
from saga_app.docgen import command_pages, diagrams, exit_tables, openapi, provider_contract, schemas
from saga_app.engine import inbox_buffer
from saga_app.engine.reader import MOST_AHEAD
from saga_app.engine.round import MOST_BYTES, MOST_RECORDS, MOST_REFUSED_BYTES
from saga_app.kafka.headers import MOST_HEADERS
from saga_app.kafka.packed import MOST_UNPACKED
from saga_app.monitoring import metrics
from saga_app.settings import Settings
from saga_app.timeouts import PROFILES

DOCUMENTS: Final = (
    "README.md",
    "docs/reference/machines.md",
    "docs/reference/wire.md",
    "docs/reference/settings.md",
    "docs/reference/exit-codes.md",
    "docs/reference/limits.md",
    "docs/reference/metrics.md",
)
_BLOCK: Final = re.compile(r"<!-- generated: (\w+) -->\n.*?<!-- end -->", re.DOTALL)


def filled(document: str) -> str:
    """The document with a new content of every block from `<!-- generated: NAME -->` to `<!-- end -->`."""
    return _BLOCK.sub(
        lambda found: f"<!-- generated: {found[1]} -->\n{BLOCKS[found[1]]()}\n<!-- end -->", document
    )


def documents(root: Path) -> Iterator[tuple[str, str]]:
    """Path from the root, and right content, of every document that is generated, whole or in part."""
    for document in DOCUMENTS:
        yield document, filled((root / document).read_text("utf-8"))
    yield command_pages.PAGE, command_pages.page()
    yield from schemas.files()
    yield openapi.PAGE, openapi.page()
    yield from provider_contract.files()


def record_table() -> str:
    """Every record, its inbox and its fields."""
    rows = []
    for model in records.Record.__args__:
        inbox = ", ".join(schemas.inboxes_of(model))
        name = f"[`{model.__name__}`](schemas/{model.__name__}.json)"
        rows.append((name, f"`{inbox}`", f"`{_fields(model)}`", _first_line(model)))
    return _table(("record", "topic", "fields (`?`: may be left out)", "means"), rows)


def topic_table() -> str:
    """Every topic and its settings."""
    wanted = tables.wanted_topics(Settings())
    rows = [
        (f"`{each.name}`", ", ".join(f"`{name}={value}`" for name, value in each.config.items()))
        for each in wanted
    ]
    return _table(("topic", "settings"), rows)


def table_table() -> str:
    """Every table, its key and its content."""
    return _table(("table", "key", "holds"), [(f"`{each.name}`", each.key, each.help) for each in tables.ALL])


def setting_table() -> str:
    """Every setting."""
    rows = [
        (f"`{each.metadata['env']}`", f"`{each.default}`" if each.default else "", each.metadata["help"])
        for each in fields(Settings)
    ]
    return _table(("variable", "default", "what it is"), rows)


def profile_table() -> str:
    """The timeouts of each profile, in seconds."""
    names = next(iter(PROFILES.values()))._fields
    return _table(("profile", *names), [(f"`{name}`", *map(str, times)) for name, times in PROFILES.items()])


def fault_table() -> str:
    """The reasons why a record becomes a dead letter."""
    return _table(("`saga-reason`",), [(f"`{fault}`",) for fault in Fault])


def limits() -> str:
    """The largest records and values."""
    rows = {
        "record that people send": f"{wire.LARGEST_FROM_PEOPLE // 1024} KiB",
        "request of one service to another": f"{wire.LARGEST_STEP_REQUEST // 1024} KiB",
        "record that a topic of people takes": f"{topics.LARGEST_IN_INBOX // 1024} KiB",
        "lines of an order": f"{MOST_LINES:,}",
        "refunds of an order, and lines of all of them": f"{MOST_REFUNDS}, and {MOST_LINES:,}",
        "quantity of a SKU in an order": f"{LARGEST_QUANTITY:,}",
        "amount": f"{money.LARGEST:,}, with the digits of its currency",
        "headers of a record": f"{MOST_HEADERS:,}",
        "bytes to which a batch unpacks": f"{MOST_UNPACKED // (1024 * 1024)} MiB",
        "callers that wait for an ending, in a process of the API": f"{MOST_WAITING:,}, for {LONGEST_WAIT} s each",
        "streams of events, in a process of the API": f"{MOST_STREAMS:,}",
        "connections of a process of the API": f"{MOST_CONNECTIONS:,}, if it may open so many files",
        "id": "64 characters of `A-Z a-z 0-9 . _ -`, the first of them none of `.` and `-`",
    }
    return _table(("what", "at most"), list(rows.items()))


def bounds() -> str:
    """The bounds of a worker's memory."""
    mebibyte = 1024 * 1024
    rows = {
        "fetched and not yet durable, per inbox": (
            f"{inbox_buffer.MOST_WAITING:,} records and {inbox_buffer.MOST_BYTES_WAITING // mebibyte} MiB, then that "
            "inbox is not fetched until a quarter is durable"
        ),
        "decided in one round": f"{MOST_RECORDS:,} records and {MOST_BYTES // mebibyte} MiB",
        "reason in a dead letter": f"{wire.LONGEST_DETAIL} characters, without card numbers",
        "fetched ahead of that": f"{MOST_AHEAD // 1024} MiB",
        "refused in one round": f"{MOST_REFUSED_BYTES // 1024} KiB, then the round ends",
        "value that a dead letter keeps": (
            f"{letter_format.MOST_RECORD_BYTES // 1024} KiB of a record that was read, "
            f"{letter_format.MOST_VALUE_BYTES // 1024} KiB of other bytes, and of more hash and head"
        ),
        "originals that the dead letters of an inbox partition keep a minute": (
            f"{MOST_A_MINUTE // mebibyte} MiB, then {letter_format.MOST_BRIEF_BYTES} bytes of each, and of more "
            "hash and head"
        ),
        "key that it keeps": f"{letter_format.MOST_KEY_BYTES // 1024} KiB, and of more its hash",
        "headers that it keeps": f"{letter_format.MOST_HEADER_BYTES // 1024} KiB, and of more none",
    }
    return _table(("what", "at most"), list(rows.items()))


def metrics_table() -> str:
    """Every metric of a worker, its kind, labels and meaning."""
    rows = []
    for family in metrics.families():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = ", ".join(f"`{label}`" for label in metrics.LABELS.get(family.name, ()))
        rows.append((f"`{name}`", family.type, labels, family.documentation))
    return _table(("metric", "kind", "labels", "what"), rows)


BLOCKS: Final[Mapping[str, Callable[[], str]]] = {
    "route": diagrams.route,
    "participant": diagrams.participant_states,
    "participant_table": diagrams.participant_table,
    "pivot_table": diagrams.pivot_table,
    "outside": diagrams.outside_states,
    "outside_table": diagrams.outside_table,
    "outside_pivot_table": diagrams.outside_pivot_table,
    "kinds": diagrams.kinds,
    "retriable_table": diagrams.retriable_table,
    "outside_retriable_table": diagrams.outside_retriable_table,
    "capture": diagrams.capture_states,
    "capture_table": diagrams.capture_table,
    "checkout": diagrams.checkout_states,
    "checkout_table": diagrams.checkout_table,
    "refund_table": diagrams.refund_table,
    "refund_step_table": diagrams.refund_step_table,
    "records": record_table,
    "topics": topic_table,
    "tables": table_table,
    "settings": setting_table,
    "profiles": profile_table,
    "worker_exits": exit_tables.worker,
    "other_exits": exit_tables.other,
    "command_exits": exit_tables.command,
    "faults": fault_table,
    "limits": limits,
    "bounds": bounds,
    "metrics": metrics_table,
}


def _fields(model: type[Model]) -> str:
    given = {name for name, field in model.model_fields.items() if field.is_required()}
    if model is not records.OrderPlaced:
        given.add("type")
    names = sorted(model.model_fields, key=lambda name: name != "type")
    return " ".join(name if name in given else f"{name}?" for name in names)


def _first_line(model: type[Any]) -> str:
    doc = (model.__doc__ or "").strip()
    inherited = model.__mro__[1].__doc__ or ""
    return (doc if doc and doc != inherited.strip() else inherited.strip()).splitlines()[0]


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> int:
    """Write what differs from the code; with `--check` only say it, by the exit code too."""
    root, only_check = Path(__file__).parent.parent.parent, "--check" in sys.argv
    changed = []
    for document, new in documents(root):
        path = root / document
        if not path.exists() or path.read_text("utf-8") != new:
            changed.append(document)
            if not only_check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(new, "utf-8")
    print("changed: " + ", ".join(changed) if changed else "all documents are as the code is")
    return 1 if changed and only_check else 0


if __name__ == "__main__":
    sys.exit(main())
