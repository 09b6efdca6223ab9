"""Table `accounts`: customers' money."""

from saga_app.core.row_keys import balance_key
from tables.card import TableCard

TABLE = TableCard(
    name="accounts",
    key=balance_key("CUSTOMER", "CURRENCY"),
    help="Customers' money, by customer:currency: deposited in all, and the balance now.",
)
