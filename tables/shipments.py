"""Table `shipments`: what was booked."""

from saga_app.core.row_keys import policy_key
from tables.card import TableCard

TABLE = TableCard(
    name="shipments",
    key=f"order id, or {policy_key('ID')}",
    help="What was booked, by order id: DONE, REFUSED or VOID, with the reason.",
    keyed_by_order=True,
)
