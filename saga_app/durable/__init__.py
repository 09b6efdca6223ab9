"""The engine: how a worker keeps its word. Decide, journal, publish, apply, acknowledge; see `docs/explanation/engine.md`."""
