"""The services as the simulator runs them, and where their rows are kept."""

from typing import Final

import agents
from saga_app.core.decision import Fold

FOLDS: Final[dict[str, Fold]] = {agent.TOPIC: agent.FOLD for agent in agents.ALL}
JOURNALS: Final = tuple(fold.journal for fold in FOLDS.values())
BALANCES: Final = tuple(fold.balances for fold in FOLDS.values() if fold.balances is not None)
TABLES: Final = (*JOURNALS, *BALANCES)


def tables_of(topic: str) -> tuple[str, ...]:
    """The journal first."""
    fold = FOLDS[topic]
    return (fold.journal,) if fold.balances is None else (fold.journal, fold.balances)


def changelog(table: str) -> str:
    return f"{table}-changelog"


TABLE_OF: Final = {changelog(table): table for table in TABLES}
