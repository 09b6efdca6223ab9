"""Everything that any part needs to talk to Kafka; nothing here knows the saga."""
