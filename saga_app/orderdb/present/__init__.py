"""Rows of the order database as text and JSON. No SQL here."""
