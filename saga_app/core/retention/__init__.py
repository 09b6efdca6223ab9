"""Retention: rows of orders that ended leave the tables, segment by segment."""
