"""Table `payments`: what was paid and refunded."""

from saga_app.core.row_keys import deposit_key, policy_key, withdrawal_key
from tables.card import TableCard

TABLE = TableCard(
    name="payments",
    key=f"order id, or {deposit_key('CUSTOMER', 'ID')}, or {withdrawal_key('CUSTOMER', 'ID')}, or {policy_key('ID')}",
    help="What was paid and refunded, by order id: with the state, the reason and what was moved.",
)
