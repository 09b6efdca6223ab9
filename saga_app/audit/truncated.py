"""An inbox partition whose beginning is missing and in no checkpoint: its tables are taken as they are."""

from saga_app import topics
from saga_app.audit.checks.changelog import foreign_rows
from saga_app.audit.checks.conservation import Conservation
from saga_app.audit.context import AuditContext
from saga_app.audit.findings import Findings
from saga_app.audit.inbox import must_have_no_holes
from saga_app.audit.inbox_stores import rows_of
from saga_app.audit.refold import service_of
from saga_app.audit.scratch import FOLDED, ScratchStore, Stores
from saga_app.core.retention.low_watermarks import LowWatermarks
from saga_app.core.row_keys import KeyKind
from saga_app.core.rows import version_of
from saga_app.engine.stores import changelog
from saga_app.engine.stores.restore import repaired, restore
from saga_app.kafka.messages import Place


def take_tables(context: AuditContext, place: Place, stores: Stores) -> Findings:
    """Takes the tables from their changelogs, and adds up what they hold."""
    findings, service = Findings(), service_of(place[0])
    why = f"{context.limits.gap(place)}: it cannot be folded again"
    for invariant in ("I3", "I5", "I7", "I8"):
        findings.claim_less(invariant, why)
    must_have_no_holes(context, place, findings)
    tables = {table: stores.store(FOLDED, (table, place[1])) for table in service.tables}
    for table, store in tables.items():
        log = (topics.changelog(context.settings.app_id, table), place[1])
        end = context.limits.found[log]
        rows = changelog.KafkaChangelog(context.settings.kafka, *log, end, foreign_rows(findings))
        restored = restore(rows, end, store)
        # Its next owner writes the repairs, so the table is compared with them.
        repaired(store, end, restored.repairs, ())
    # It is not known when an undo was asked for, nor which rows were evicted: the check of orders finds empty stores.
    balances = service.decider.balances
    if balances is not None:
        conservation = Conservation(place, balances, findings)
        journal = tables[service.decider.journal]
        if _is_being_evicted(journal):
            findings.claim_less(
                conservation.invariant, f"{why}, and orders were just being evicted: not added up"
            )
            return findings
        findings.claim_less(conservation.invariant, f"{why}: added up at its end only")
        conservation.finish(rows_of(tables, service.decider.journal), rows_of(tables, balances))
        conservation.report()
    return findings


def _is_being_evicted(journal: ScratchStore) -> bool:
    """True if totals already hold what rows above the low watermark hold too."""
    low_watermarks = LowWatermarks(journal.scan(KeyKind.LOW_WATERMARK.prefix))
    return any(
        version_of(total) > low_watermarks.version for _, total in journal.scan(KeyKind.EVICTED.prefix)
    )
