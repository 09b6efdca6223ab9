"""Table `orders`: where every order stands."""

from tables.card import TableCard

TABLE = TableCard(
    name="orders",
    key="order id",
    help="Where every order stands, by order id: OPEN, CANCELLING, COMPLETED or CANCELLED, with the order itself.",
    keyed_by_order=True,
)
