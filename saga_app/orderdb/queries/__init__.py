"""The questions that people ask of the order database, as SQL."""
