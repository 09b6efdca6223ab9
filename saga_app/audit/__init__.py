"""The audit: it reads the topics from their beginning and checks the nine invariants of `docs/explanation/proof.md`."""
