"""Compares the fold with the changelogs that are there: what is lost, and what the inboxes cannot explain."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from saga_app import topics
from saga_app.audit.context import AuditContext
from saga_app.audit.scratch import FOLDED, LOGGED, Stores, side_by_side
from saga_app.core.rows import version_of
from saga_app.engine.stores.changelog import MOST_AHEAD, KafkaChangelog, leave_out
from saga_app.engine.stores.restore import repaired, restore
from saga_app.kafka.messages import Place
from saga_app.rebuild.fold import Gap


class TablePart(NamedTuple):
    """One table in one partition, the inbox that it follows from, and the gaps of that inbox."""

    table: str
    inbox: Place
    gaps: tuple[Gap, ...]

    @property
    def place(self) -> Place:
        return self.table, self.inbox[1]


class Losses(NamedTuple):
    """The rows of a table: in the fold, and how the changelog has them.

    `lost`: it has no row, or an older one. `wrong`: its row does not follow from the inbox. `later`: its row was
    decided above the committed offset, and will be decided again. `unexplained`: the inbox lost that row's record.
    """

    table: str
    rows: int = 0
    lost: int = 0
    wrong: int = 0
    later: int = 0
    unexplained: str | None = None

    def plus(self, other: "Losses") -> "Losses":
        """Both together."""
        return Losses(
            self.table,
            self.rows + other.rows,
            self.lost + other.lost,
            self.wrong + other.wrong,
            self.later + other.later,
            self.unexplained or other.unexplained,
        )


def compare(context: AuditContext, part: TablePart) -> Losses:
    """Reads one changelog partition, if it is there, and compares it with the fold."""
    settings, limits = context.settings, context.limits
    changelog = (topics.changelog(settings.app_id, part.table), part.inbox[1])
    end = limits.found.get(changelog)
    committed = limits.committed[part.inbox]
    rows = lost = wrong = later = 0
    unexplained = None
    with Stores(context.folder) as stores:
        folded, logged = stores.store(FOLDED, part.place), stores.store(LOGGED, part.place)
        if end is not None:
            # Rows that no worker wrote do not come back, and say nothing about the inbox.
            below = limits.end[part.inbox] + MOST_AHEAD
            log = KafkaChangelog(settings.kafka, *changelog, end, leave_out, below)
            restored = restore(log, end, logged)
            # Its next owner would write the repairs, so the fold is compared with them.
            repaired(logged, end, restored.repairs, ())
        for key, mine, other in side_by_side(folded.scan(), logged.scan()):
            rows += mine is not None
            if other is not None and (why := _unexplained(version_of(other), part, limits.end[part.inbox])):
                unexplained = unexplained or f"{part.table} {key.decode(errors='replace')}: {why}"
            if mine == other:
                continue
            if other is not None and version_of(other) >= committed:
                later += 1
            elif other is None or (mine is not None and version_of(other) < version_of(mine)):
                lost += 1
            else:
                wrong += 1
    return Losses(part.table, rows, lost, wrong, later, unexplained)


def add_up(found: Iterable[Losses]) -> list[Losses]:
    """The sums of each table, in the order in which they come."""
    sums: dict[str, Losses] = {}
    for each in found:
        sums[each.table] = sums.get(each.table, Losses(each.table)).plus(each)
    return list(sums.values())


def _unexplained(version: int, part: TablePart, end: int) -> str | None:
    """The reason why the inbox does not have the record that made a row of this version."""
    where = f"{part.inbox[0]}[{part.inbox[1]}]"
    if version >= end:
        return f"it was made by offset {version} of {where}, which ends at {end}"
    if is_in(part.gaps, version):
        return f"it was made by offset {version} of {where}, which has no record there any more"
    return None


def is_in(gaps: Sequence[Gap], offset: int) -> bool:
    """True if the offset is in one of the gaps, which are sorted."""
    at = bisect_right(gaps, offset, key=lambda gap: gap.start) - 1
    return at >= 0 and offset < gaps[at].end
