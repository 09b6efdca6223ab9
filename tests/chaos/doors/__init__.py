"""The doors of the saga under faults: `saga api`, `saga outbox` and `saga webhooks run`, each with an invariant."""
