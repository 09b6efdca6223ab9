"""The error of the local Kafka."""


class LocalKafkaError(Exception):
    """The local Kafka cannot start or run. The message says what is wrong, where, and what to do."""
