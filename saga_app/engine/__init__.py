"""The engine: how a worker keeps its word; see `docs/explanation/engine.md`."""
