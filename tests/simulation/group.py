"""The consumer group: members, generations, owners of partitions, and committed offsets."""

from collections.abc import Mapping

from saga_app.core.numbers import Generation, Offset
from saga_app.kafka.messages import Place


class SimulatedGroup:
    """Kafka's coordinator, as far as a worker can tell. Times are in milliseconds."""

    def __init__(self, partitions: int, session: int, patience: int) -> None:
        self.partitions = partitions
        self.session = session
        #: How long a rebalance waits for members that do not answer.
        self.patience = patience
        self.generation = Generation(0)
        #: When each member was last heard of.
        self.members: dict[str, int] = {}
        self.assignment: dict[str, list[int]] = {}
        self.committed: dict[Place, Offset] = {}
        #: The text beside each committed offset.
        self.notes: dict[Place, str] = {}
        #: A coordinator that still loads its groups answers every heartbeat without error, and knows nobody.
        self.loading = False
        #: Who has answered the rebalance, and since when it goes on.
        self._joined: set[str] = set()
        self._since: int | None = None

    @property
    def rebalancing(self) -> bool:
        return self._since is not None

    def joined(self, member: str) -> bool:
        """True if this member has answered the rebalance that goes on."""
        return member in self._joined

    def join(self, member: str, now: int) -> None:
        """A new member, or one that has given up its partitions because of a rebalance."""
        self.members[member] = now
        self._rebalance(now)
        self._joined.add(member)
        self._settle()

    def leave(self, member: str, now: int) -> None:
        self.members.pop(member, None)
        self._joined.discard(member)
        if self.members:
            self._rebalance(now)
        else:
            self._since = None
        self._settle()

    def heartbeat(self, member: str, generation: Generation, now: int) -> bool:
        """True if the answer is without error: the member is of this generation, and no rebalance goes on."""
        if self.loading:
            return generation >= 0
        if member not in self.members:
            return False
        self.members[member] = now
        return not self.rebalancing and generation == self.generation

    def loaded(self, now: int) -> None:
        """The new coordinator knows the members; their sessions, and a rebalance, count from now on."""
        self.loading = False
        self._since = None if self._since is None else now
        self.members = dict.fromkeys(self.members, now)

    def expire(self, now: int) -> list[str]:
        """Members that were silent for too long are members no more."""
        late = [
            member
            for member, heard in self.members.items()
            if now - heard > self.session
            or (self._since is not None and member not in self._joined and now - self._since > self.patience)
        ]
        for member in late:
            self.leave(member, now)
        return late

    def commit(
        self, member: str, generation: Generation, commits: Mapping[Place, tuple[Offset, str]]
    ) -> bool:
        """Offsets of an earlier generation are refused."""
        if member not in self.members or generation != self.generation:
            return False
        self.put(commits)
        return True

    def put(self, commits: Mapping[Place, tuple[Offset, str]]) -> None:
        """Offsets and their notes, whoever commits them."""
        self.committed.update({place: at for place, (at, _) in commits.items()})
        self.notes.update({place: note for place, (_, note) in commits.items()})

    def _rebalance(self, now: int) -> None:
        if self._since is None:
            self._since = now
            self._joined.clear()

    def _settle(self) -> None:
        if self.members and self._since is not None and self._joined >= set(self.members):
            self.generation = Generation(self.generation + 1)
            self._since = None
            names = sorted(self.members)
            self.assignment = {name: [] for name in names}
            for partition in range(self.partitions):
                self.assignment[names[(partition + self.generation) % len(names)]].append(partition)
