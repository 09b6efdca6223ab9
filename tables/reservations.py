"""Table `reservations`: what was reserved and released."""

from tables.card import TableCard

TABLE = TableCard(
    name="reservations",
    key="order id, or delivery:WAREHOUSE:ID",
    help="What was reserved and released, by order id: with the state, the reason and what was moved.",
)
