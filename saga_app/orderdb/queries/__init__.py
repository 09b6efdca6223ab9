"""Queries of the order database, by subject."""
