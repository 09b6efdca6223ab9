"""The errors of what runs on this machine."""


class LocalKafkaError(Exception):
    """The local Kafka cannot start or run. The message says what is wrong, where, and what to do."""


class LocalStripeError(Exception):
    """The Stripe of this machine cannot start. The message says why, and what to do."""
