"""The clients of Kafka that every part uses: they know topics and records, and none of the saga's rules."""
