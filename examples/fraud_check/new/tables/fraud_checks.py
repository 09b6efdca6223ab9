"""Table `fraud_checks`: what was cleared."""

from tables.card import TableCard

TABLE = TableCard(
    name="fraud_checks",
    key="order id",
    help="What was cleared, by order id: DONE, REFUSED, UNDONE or VOID, with the reason.",
    keyed_by_order=True,
)
