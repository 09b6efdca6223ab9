"""What a worker tells machines about itself: metrics for Prometheus, and whether it is alive and ready."""
