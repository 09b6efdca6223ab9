"""The rule for all effects of all providers, at every moment (I13)."""

from collections.abc import Callable, Collection

from tests.simulation.adapters import ADAPTERS
from tests.simulation.remote import IN_EFFECT, TAKEN, Remote, ThingStatus
from tests.simulation.violation import must


class EffectsWatch:
    """An order has one effect at each provider at most; none once it is cancelled, and exactly its own if completed.

    `may_be_taken`: False for an order that is captured later, and is not shipped.
    """

    def __init__(self, ended: Callable[[str], object], may_be_taken: Callable[[str], bool]) -> None:
        self.ended = ended
        self.may_be_taken = may_be_taken
        self.remotes = {name: Remote(name, self._of(name)) for name in ADAPTERS}

    def changed(self, name: str, order: str, what: str) -> None:
        """An effect begins or ends."""
        there = self._there(name, order)
        must(len(there) <= 1, "I13 one effect", f"order {order} has {there} at {name}")
        must(
            not there or self.ended(order) != "CANCELLED",
            "I13 one effect",
            f"order {order} was cancelled, and then {what}",
        )
        taken = name != "courier" and any(status in TAKEN for _, status in there)
        must(
            not taken or self.may_be_taken(order),
            "I13 captured behind the pivot",
            f"order {order} is not shipped, and {what}",
        )

    def at_end(self, order: str, *, completed: bool, asked: Collection[str]) -> None:
        """When an order ends: what these providers did is kept, once each, and nothing else is."""
        for name in self.remotes:
            there = self._there(name, order)
            kept = [status for _, status in there] == [ThingStatus.DONE]
            must(
                kept if completed and name in asked else not there,
                "I13 one effect",
                f"order {order} is {'completed' if completed else 'cancelled'}, and has {there} at {name}",
            )

    def anew(self, order: str) -> None:
        """An order that begins with an id that was used before."""
        for remote in self.remotes.values():
            remote.anew(order)

    def _of(self, name: str) -> Callable[[str, str], None]:
        return lambda order, what: self.changed(name, order, what)

    def _there(self, name: str, order: str) -> list[tuple[str, ThingStatus]]:
        return [(thing, status) for thing, status in self.remotes[name].of(order) if status in IN_EFFECT]
