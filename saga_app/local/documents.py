"""The generated parts of the documents: diagrams, records, topics, settings. `scripts/docs` writes them anew."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Final

import tables
from saga_app import topics, wire
from saga_app.core import diagram, records
from saga_app.core.errors import Fault
from saga_app.core.records import Model, OrdersLeft, PolicyChanged
from saga_app.durable.fatal import Exit
from saga_app.settings import PROFILES, Settings

DOCUMENTS: Final = (
    "README.md",
    "docs/reference/machines.md",
    "docs/reference/wire.md",
    "docs/reference/settings.md",
)
#: Records that go to more than one inbox.
_SEVERAL: Final[Mapping[type[Any], str]] = {
    PolicyChanged: "payment_events, shipping_events",
    OrdersLeft: "payment_events, inventory_events, shipping_events",
}
_BLOCK: Final = re.compile(r"<!-- generated: (\w+) -->\n.*?<!-- end -->", re.DOTALL)


def filled(document: str) -> str:
    """The document with every block between `<!-- generated: NAME -->` and `<!-- end -->` made anew."""
    return _BLOCK.sub(
        lambda found: f"<!-- generated: {found[1]} -->\n{BLOCKS[found[1]]()}\n<!-- end -->", document
    )


def record_table() -> str:
    """Every record, its inbox and its fields."""
    rows = []
    for model in records.Record.__args__:
        inbox = _SEVERAL.get(model) or topics._OF_TYPE[model]
        rows.append((f"`{model.__name__}`", f"`{inbox}`", f"`{_fields(model)}`", _first_line(model)))
    return _table(("record", "topic", "fields (`?`: may be left out)", "means"), rows)


def topic_table() -> str:
    """Every topic and how it is made."""
    wanted = topics.wanted(
        Settings().app_id, tuple(table.name for table in tables.ALL), topics.DEFAULT_PARTITIONS
    )
    rows = [
        (f"`{each.name}`", ", ".join(f"`{name}={value}`" for name, value in each.config.items()))
        for each in wanted
    ]
    return _table(("topic", "settings"), rows)


def table_table() -> str:
    """Every table, its key and what it holds."""
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


def exit_table() -> str:
    """The codes with which a worker ends by itself."""
    return _table(("exit code", "name"), [(str(code.value), f"`{code.name}`") for code in Exit])


def fault_table() -> str:
    """Why a record becomes a dead letter."""
    return _table(("`saga-reason`",), [(f"`{fault}`",) for fault in Fault])


def limits() -> str:
    """Sizes."""
    largest, slip = wire.LARGEST_FROM_PEOPLE // 1024, wire.LARGEST_SLIP // 1024
    return (
        f"A record that people send has at most {largest} KiB and {records.MOST_LINES:,} lines, "
        f"a slip at most {slip} KiB, an id 64 characters, a quantity {records.LARGEST_QUANTITY:,}."
    )


BLOCKS: Final[Mapping[str, Callable[[], str]]] = {
    "route": diagram.route,
    "participant": diagram.participant_states,
    "participant_table": diagram.participant_table,
    "pivot_table": diagram.pivot_table,
    "checkout": diagram.checkout_states,
    "checkout_table": diagram.checkout_table,
    "records": record_table,
    "topics": topic_table,
    "tables": table_table,
    "settings": setting_table,
    "profiles": profile_table,
    "exits": exit_table,
    "faults": fault_table,
    "limits": limits,
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
