"""Table `reservations`: what was reserved and released."""

from saga_app.core.row_keys import adjustment_key, delivery_key
from tables.card import TableCard

TABLE = TableCard(
    name="reservations",
    key=f"order id, or {delivery_key('WAREHOUSE', 'ID')}, or {adjustment_key('WAREHOUSE', 'ID')}",
    help="What was reserved and released, by order id: with the state, the reason and what was moved.",
)
