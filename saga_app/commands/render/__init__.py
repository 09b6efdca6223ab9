"""Output of commands: lines, tables, pages of a terminal."""
