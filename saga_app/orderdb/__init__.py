"""The order database: a copy of the topics in SQL, for lists and search. The workers never read it."""
