"""The history of one order: each record about it, and the row after it."""
