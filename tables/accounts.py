"""Table `accounts`: customers' money."""

from tables.card import TableCard

TABLE = TableCard(
    name="accounts",
    key="CUSTOMER:CURRENCY",
    help="Customers' money, by customer:currency: deposited in all, and the balance now.",
)
