"""Arguments that commands share: articles (SKU:QUANTITY, in an order also SKU:QUANTITY:PRICE), times, and how many."""

import re
from typing import Any, Final

import click

from saga_app.core.errors import Fault, Rejected
from saga_app.times import moment, now
from saga_app.wire import masked

#: Lines of a list, by default.
DEFAULT_LIMIT: Final = 50
#: The models refuse longer numbers too.
_QUANTITY: Final = re.compile(r"[0-9]{1,15}", re.ASCII)


class TimeParam(click.ParamType):
    """A time, or a duration before now; in milliseconds since 1970."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return value if isinstance(value, int) else moment(value, now())
        except ValueError as error:
            self.fail(str(error), param, ctx)


#: The option of lists.
limit_option: Final = click.option(
    "--limit",
    default=DEFAULT_LIMIT,
    metavar="N",
    type=click.IntRange(1),
    show_default=True,
    help="At most N.",
)
#: The option of commands that read all topics.
jobs_option: Final = click.option(
    "--jobs", type=click.IntRange(min=1), help="Processes (default: one for each core; one for few records)."
)


def article(text: str) -> dict[str, Any]:
    """The fields of SKU:QUANTITY; `Rejected` if the text has another form."""
    return _split(text, 2, "SKU:QUANTITY, as in MUG:100")


def difference(text: str) -> dict[str, Any]:
    """The fields of SKU:DIFFERENCE, which may be below zero; `Rejected` if the text has another form."""
    sku, _, number = text.partition(":")
    if not _QUANTITY.fullmatch(number.removeprefix("-").removeprefix("+")):
        raise Rejected(
            Fault.INVALID,
            f"{masked(text)[:80]!r} is not a difference; it is written SKU:DIFFERENCE, as in MUG:-3",
        )
    return {"sku": sku, "quantity": int(number)}


def priced_article(text: str) -> dict[str, Any]:
    """The fields of SKU:QUANTITY or SKU:QUANTITY:PRICE; `Rejected` if the text has another form."""
    return _split(text, 3, "SKU:QUANTITY or SKU:QUANTITY:PRICE, as in MUG:2:12.50")


def named_text(text: str) -> tuple[str, str]:
    """The name and the text of NAME=TEXT; `Rejected` if there is no name."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise Rejected(Fault.INVALID, f"{masked(text)[:80]!r} is no metadata; they are written NAME=TEXT")
    return name, value


def _split(text: str, most: int, form: str) -> dict[str, Any]:
    sku, *numbers = text.split(":")
    if not 1 <= len(numbers) < most or not _QUANTITY.fullmatch(numbers[0]):
        raise Rejected(Fault.INVALID, f"{masked(text)[:80]!r} is not an article; it is written {form}")
    line: dict[str, Any] = {"sku": sku, "quantity": int(numbers[0])}
    return line | ({"unit_price": numbers[1]} if len(numbers) > 1 else {})
