"""The history of one order, record by record."""
