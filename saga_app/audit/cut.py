"""An inbox partition whose beginning is neither there nor known: its tables are taken as they are."""

from saga_app import topics
from saga_app.audit.conserved import Conservation
from saga_app.audit.findings import Findings
from saga_app.audit.inbox import rows_of
from saga_app.audit.refold import service_of
from saga_app.audit.scope import Scope
from saga_app.audit.shelves import ASKED, FOLDED, LEFT, Shelves
from saga_app.core.horizons import Horizons
from saga_app.core.rows import version_of
from saga_app.durable import changelogs
from saga_app.durable.ports import Place
from saga_app.durable.restore import repaired, restore
from saga_app.durable.rocks import RocksShelf


def take_as_it_is(scope: Scope, place: Place, shelves: Shelves) -> Findings:
    """Takes the tables from their changelogs, and adds up what they hold."""
    findings, service = Findings(), service_of(place[0])
    why = f"{scope.limits.gap(place)}: it cannot be folded again"
    for invariant in ("I3", "I5", "I7", "I8"):
        findings.claim_less(invariant, why)
    tables = {table: shelves.shelf(FOLDED, (table, place[1])) for table in service.tables}
    for table, shelf in tables.items():
        log = (topics.changelog(scope.settings.app_id, table), place[1])
        end = scope.limits.found[log]
        restored = restore(changelogs.KafkaChangelog(scope.settings.kafka, *log, end), end, shelf)
        # As its owner will have it.
        repaired(shelf, end, restored.repairs, ())
    # When undos were asked for and what has left is not known: the orders find empty shelves.
    for kind in (ASKED, LEFT):
        shelves.shelf(kind, place)
    balances = service.fold.balances
    if balances is not None:
        conservation = Conservation(place, balances, findings)
        journal = tables[service.fold.journal]
        if _is_leaving(journal):
            findings.claim_less(conservation.invariant, f"{why}, and orders were just leaving: not added up")
            return findings
        findings.claim_less(conservation.invariant, f"{why}: added up at its end only")
        conservation.finish(rows_of(tables, service.fold.journal), rows_of(tables, balances))
        conservation.tell()
    return findings


def _is_leaving(journal: RocksShelf) -> bool:
    """Whether totals hold already what rows above the horizon hold too."""
    horizons = Horizons(journal.scan(b"horizon:"))
    return any(version_of(total) > horizons.version for _, total in journal.scan(b"gone:"))
