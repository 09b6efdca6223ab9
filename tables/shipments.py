"""Table `shipments`: what was booked."""

from tables.card import TableCard

TABLE = TableCard(
    name="shipments",
    key="order id, or policy:ID",
    help="What was booked, by order id: DONE, REFUSED or VOID, with the reason.",
    keyed_by_order=True,
)
