"""Changelogs that lost rows, and workers that do not notice it or mend it badly."""

from collections.abc import Callable, Collection, Iterable, Mapping

import pytest

from saga_app.core.numbers import Offset
from saga_app.engine.commits import GroupCommits
from saga_app.engine.stores import manager
from saga_app.engine.stores.extent import Demand, Extent, LogRange, Remedy, remedy
from saga_app.kafka.messages import Place


def the_note_is_ignored(patch: pytest.MonkeyPatch) -> None:
    """A worker with an empty disk knows it too: the note beside the committed offset says how far changelogs reach."""

    def learn(self: GroupCommits, commits: Mapping[Place, tuple[Offset, str]]) -> None:
        everything(self, {place: (at, "") for place, (at, _) in commits.items()})

    everything = GroupCommits.learn
    patch.setattr(GroupCommits, "learn", learn)


def a_disk_ahead_of_its_changelog_is_emptied(patch: pytest.MonkeyPatch) -> None:
    """A disk that holds what the changelog lost is kept, and the lost rows are written again."""

    def hasty(log: LogRange, demand: Demand | None, held: Iterable[Extent]) -> Remedy:
        found = remedy(log, demand, held)
        return Remedy.ANEW if found is Remedy.WRITE_AGAIN else found

    patch.setattr(manager, "remedy", hasty)


def rows_are_written_again_without_a_word(patch: pytest.MonkeyPatch) -> None:
    """Before the first row is written again, a note says so: what a crash leaves must not look whole."""

    async def announce(
        self: GroupCommits,
        places: Collection[Place],
        lost: Collection[Place],
        ends: Mapping[Place, Offset],
        goes_on: Callable[[], bool],
    ) -> None:
        await say(self, set(places) - set(lost), (), ends, goes_on)

    say = GroupCommits._announce
    patch.setattr(GroupCommits, "_announce", announce)


def a_disk_of_an_earlier_term_is_trusted(patch: pytest.MonkeyPatch) -> None:
    """Offsets of lost rows are used again, so a disk that held them follows no further."""
    patch.setattr(Demand, "knows", lambda self, held: True)
