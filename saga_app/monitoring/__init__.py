"""A worker's metrics for Prometheus, and its probes: alive and ready."""
