"""The errors that a user can meet, each as one line and an exit code."""

from confluent_kafka import KafkaException

from saga_app.commands.exit_codes import CommandExit
from saga_app.core.errors import Rejected
from saga_app.kafka.broker_errors import in_words
from saga_app.kafka.sender import DeliveryUnknown
from saga_app.kafka.topic_admin import BrokerUnreachable, TopicsWrong
from saga_app.settings import SettingsError


def failure(error: Exception) -> tuple[str, CommandExit] | None:
    """The line and the exit code of an error; None for one that no user should meet."""
    match error:
        case Rejected():
            return f"{error.fault}: {error.detail}", CommandExit.WRONG_INPUT
        case SettingsError():
            return str(error), CommandExit.WRONG_INPUT
        case DeliveryUnknown() | BrokerUnreachable() | TopicsWrong():
            return str(error), CommandExit.FAILED
        case KafkaException():
            return f"Kafka: {in_words(error)}; `saga doctor` looks at everything", CommandExit.FAILED
        case TimeoutError():
            return f"{str(error) or 'no answer'}; `saga doctor` looks at everything", CommandExit.FAILED
    return None
