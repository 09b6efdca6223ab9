"""Effects at a provider outside: a step asks, writes down what it is told, and sends the order on when it knows."""

from enum import StrEnum


class Action(StrEnum):
    """What a provider is asked for."""

    DO = "do"
    PREVENT = "prevent"
    UNDO = "undo"
