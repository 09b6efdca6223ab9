"""The checks of the audit, one module per group of invariants."""
