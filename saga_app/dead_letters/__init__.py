"""Dead letters: their format, which a worker writes, and how commands and pages read, show and replay them."""
