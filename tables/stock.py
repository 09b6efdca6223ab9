"""Table `stock`: units in the warehouses."""

from saga_app.core.row_keys import balance_key
from tables.card import TableCard

TABLE = TableCard(
    name="stock",
    key=balance_key("WAREHOUSE", "SKU"),
    help="Units in the warehouses, by warehouse:SKU: received in all, and available now.",
)
