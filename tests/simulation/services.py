"""The services as the simulator runs them, and where their rows are kept."""

from typing import Final

import agents
from saga_app.core.decider import Decider, Service

AGENTS: Final = {agent.TOPIC: agent for agent in agents.ALL}
DECIDERS: Final[dict[str, Decider]] = {topic: agent.DECIDER for topic, agent in AGENTS.items()}
SERVICES: Final = tuple(Service(*each) for each in DECIDERS.items())
JOURNALS: Final = tuple(decider.journal for decider in DECIDERS.values())
BALANCES: Final = tuple(decider.balances for decider in DECIDERS.values() if decider.balances is not None)
TABLES: Final = (*JOURNALS, *BALANCES)


def tables_of(topic: str) -> tuple[str, ...]:
    """The journal first."""
    decider = DECIDERS[topic]
    return (decider.journal,) if decider.balances is None else (decider.journal, decider.balances)


def changelog(table: str) -> str:
    return f"{table}-changelog"


TABLE_OF: Final = {changelog(table): table for table in TABLES}
