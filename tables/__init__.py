"""The tables: what each service remembers. Rows are written by rounds only; people read them."""

from tables import accounts, orders, payments, reservations, shipments, stock

ALL = (
    orders.TABLE,
    payments.TABLE,
    accounts.TABLE,
    reservations.TABLE,
    stock.TABLE,
    shipments.TABLE,
)
