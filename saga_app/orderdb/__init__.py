"""The order database: a copy of what happens, in SQL, for lists and search. The workers never read it."""
