"""How the tables came to be, step by step; `Database.make` carries out what is missing.

A new step is a module in `versions` with the next revision, and `schema.REVISION` names it. What was released is not
changed any more.
"""
