"""The template and values of a page, and the error of a wrong address."""

from typing import Any, NamedTuple

from multidict import MultiMapping

#: The values in an address.
Query = MultiMapping[str]


class View(NamedTuple):
    """The template of a page, its values, and the status of the response."""

    template: str
    values: dict[str, Any]
    status: int = 200


class InvalidAddress(Exception):
    """A value in the address is invalid, or no page is there; the message names it and its right form."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


def given_in(query: Query, *names: str) -> dict[str, str]:
    """The values of these names in an address, empty where there is none."""
    return {name: query.get(name, "") for name in names}
