"""Table `payments`: what was paid and refunded."""

from tables.card import TableCard

TABLE = TableCard(
    name="payments",
    key="order id, or deposit:CUSTOMER:ID, or policy:ID",
    help="What was paid and refunded, by order id: with the state, the reason and what was moved.",
)
