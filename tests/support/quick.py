"""Parameters of which some run before each commit."""

from collections.abc import Iterable
from typing import Any

import pytest


def quick(names: Iterable[str], *some: str, mark: pytest.MarkDecorator) -> list[Any]:
    """All names; those that are not among `some` have the mark, which says why they wait."""
    return [name if name in some else pytest.param(name, marks=mark) for name in names]
