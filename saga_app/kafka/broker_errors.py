"""Why a broker does not take us: who we are (SASL), whom we trust (TLS), what we may do (ACLs); and which setting.

The first two are told by librdkafka to `error_cb` alone: the call that met them only says that it had no answer.
"""

import logging
import re
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from saga_app.settings import Settings

logger = logging.getLogger(__name__)

#: Seconds between two lines of a client that is refused again and again.
PAUSE: Final = 10.0
#: Seconds in which a broker that is there has refused us, or answered.
SOON: Final = 1.0
_NOT_ALLOWED: Final = frozenset(
    {
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
    }
)
#: What librdkafka puts around the reason: the connection before it, the time after it.
_AROUND: Final = re.compile(r"^\w+://\S+: | \(after \d+ms in state \w+.*\)$")


def refused(error: KafkaError) -> str | None:
    """The refusal in words, with the settings that it concerns; None if it is something else, or may pass by itself."""
    text = _AROUND.sub("", error.str())
    if error.code() in _NOT_ALLOWED:
        return f"{text}: our user lacks an ACL; docs/how-to/secure-kafka.md lists those that it needs"
    if error.code() == KafkaError._AUTHENTICATION and "isconnected" not in text:
        return f"{text}; see SAGA_SASL_USERNAME, SAGA_SASL_PASSWORD and SAGA_SASL_MECHANISM"
    if "certificate verify failed" in text:
        return (
            "its certificate is not signed by one of SAGA_TLS_CA, or not made for the host that SAGA_BROKER names, "
            "or not valid now"
        )
    if "tls alert" in text:
        return f"{text}; it wants another certificate of us: see SAGA_TLS_CERT and SAGA_TLS_KEY"
    return None


def in_words(error: KafkaException) -> str:
    """What the broker or its client said."""
    cause = error.args[0]
    return refused(cause) or str(cause.str()) if isinstance(cause, KafkaError) else str(cause)


class Admin(AdminClient):  # type: ignore[misc]
    """An admin client that knows why it gets no answer."""

    def __init__(self, settings: Settings) -> None:
        # Not a method of its own: it would keep itself alive.
        heard: deque[KafkaError] = deque(maxlen=20)
        super().__init__({**settings.kafka, "log_level": 0, "error_cb": heard.append})
        self._heard = heard

    def list_topics(self, timeout: float) -> Any:
        """Kafka's metadata; a `KafkaException` has the refusal, if there was one, and else that there is no answer.

        A refusal comes at once but does not end the call, which therefore asks for a moment first.
        """
        self._heard.clear()
        try:
            return self._ask(min(SOON, timeout))
        except KafkaException as error:
            if refused(error.args[0]):
                raise
        return self._ask(timeout)

    def _ask(self, seconds: float) -> Any:
        try:
            return super().list_topics(timeout=seconds)
        except KafkaException as error:
            self.poll(0)
            if refusal := next(filter(refused, self._heard), None):
                raise KafkaException(refusal) from error
            raise


class Teller:
    """An `error_cb` for clients that go on trying: a line now and then, since a refusal reaches nobody else."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._silent_until = float("-inf")

    def __call__(self, error: KafkaError) -> None:
        words, now = refused(error), self._clock()
        if words and now >= self._silent_until:
            self._silent_until = now + PAUSE
            logger.error("the broker refuses us: %s", words)
