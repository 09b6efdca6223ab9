"""Rows of the order database as people and machines read them. No SQL here."""
