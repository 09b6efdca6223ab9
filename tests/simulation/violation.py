"""The error that the simulator raises."""


class Violation(AssertionError):
    """An invariant of `docs/explanation/proof.md` is broken: its name, and the facts that show it."""

    def __init__(self, invariant: str, what: str) -> None:
        super().__init__(f"{invariant}: {what}")
        self.invariant = invariant


def must(holds: bool, invariant: str, what: str) -> None:
    """Raises `Violation` unless it holds."""
    if not holds:
        raise Violation(invariant, what)
