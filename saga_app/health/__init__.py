"""The health of the whole system in a few words: workers, records not taken, the copy, Kafka and the order database."""
