"""The migrations: each changes the tables by one step; `Database.make` runs those that are missing.

A new migration is a module in `versions` with the next revision, and `schema.REVISION` names it. A migration that was
released never changes.
"""
