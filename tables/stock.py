"""Table `stock`: units in the warehouses."""

from tables.card import TableCard

TABLE = TableCard(
    name="stock",
    key="WAREHOUSE:SKU",
    help="Units in the warehouses, by warehouse:SKU: received in all, and available now.",
)
