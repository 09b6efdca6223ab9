"""What a local Kafka can fail with."""


class LocalKafkaError(Exception):
    """The local Kafka cannot be had. The message says what is wrong, where, and what to do about it."""
