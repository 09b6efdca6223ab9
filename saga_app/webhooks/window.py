"""How far an endpoint is in its partitions: a position passes only what is settled."""

from typing import Final

#: Outcomes that are read and not settled, of one endpoint in one process; then it reads no more.
MOST_OPEN: Final = 256


class Window:
    """The outcomes of one endpoint that were read and are not settled; settled in any sequence."""

    def __init__(self) -> None:
        #: By partition, the offsets that were read from the position on, in order, with True if they are settled.
        self._read: dict[int, dict[int, bool]] = {}
        self._position: dict[int, int] = {}
        self.open = 0

    @property
    def is_full(self) -> bool:
        return self.open >= MOST_OPEN

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions that are ours."""
        return frozenset(self._position)

    def begin(self, partition: int, offset: int) -> None:
        """The partition is ours, from this offset on."""
        self.end(partition)
        self._read[partition], self._position[partition] = {}, offset

    def end(self, partition: int) -> None:
        """It is not ours any more: what is still settled there counts no more."""
        self.open -= sum(not is_settled for is_settled in self._read.pop(partition, {}).values())
        self._position.pop(partition, None)

    def read(self, partition: int, offset: int) -> bool:
        """An outcome was read; False if it is not ours, or was read before."""
        if offset < self._position.get(partition, offset + 1) or offset in self._read[partition]:
            return False
        self._read[partition][offset] = False
        self.open += 1
        return True

    def settle(self, partition: int, offset: int) -> None:
        """The endpoint has taken it, or it is written down that it has not."""
        if self._read.get(partition, {}).get(offset) is False:
            self._read[partition][offset] = True
            self.open -= 1

    def positions(self) -> dict[int, int]:
        """By partition, the offset below which everything is settled."""
        for partition, read in self._read.items():
            for offset, is_settled in list(read.items()):
                if not is_settled:
                    break
                del read[offset]
                self._position[partition] = offset + 1
        return dict(self._position)
