"""The error that the simulator raises."""


class Violation(AssertionError):
    """An invariant of `docs/explanation/proof.md` is broken: its name, and the facts that show it."""

    def __init__(self, invariant: str, what: str) -> None:
        # Both are its arguments, as a process of a pool hands it over in them.
        super().__init__(invariant, what)
        self.invariant = invariant

    def __str__(self) -> str:
        return ": ".join(self.args)


def must(holds: bool, invariant: str, what: str) -> None:
    """Raises `Violation` unless it holds."""
    if not holds:
        raise Violation(invariant, what)
