"""The overrides of Faust 0.15.3. Each names the upstream issue that it answers; see `docs/reference/faust.md`."""
