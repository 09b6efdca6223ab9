"""Explains why a broker refuses a client (SASL, TLS, ACLs), and names the setting to look at.

librdkafka reports errors of SASL and TLS to `error_cb` alone: the call itself only times out.
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

#: Seconds between two log lines of a client that is refused again and again.
LOG_INTERVAL: Final = 10.0
#: Seconds in which a broker that is up has answered or refused.
FIRST_TRY: Final = 1.0
_NOT_ALLOWED: Final = frozenset(
    {
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
    }
)
#: librdkafka puts the connection before the reason and the time behind it.
_AROUND_REASON: Final = re.compile(r"^\w+://\S+: | \(after \d+ms in state \w+.*\)$")


def refused(error: KafkaError) -> str | None:
    """The refusal in words, with the settings to look at; None if the error is no refusal, or may pass by itself."""
    text = _AROUND_REASON.sub("", error.str())
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
    """The reason that the broker or its client gives."""
    cause = error.args[0]
    return refused(cause) or str(cause.str()) if isinstance(cause, KafkaError) else str(cause)


class Admin(AdminClient):  # type: ignore[misc]
    """An admin client that also says why it gets no answer."""

    def __init__(self, settings: Settings) -> None:
        # No method of its own as `error_cb`: the client would keep itself alive.
        errors: deque[KafkaError] = deque(maxlen=20)
        super().__init__({**settings.kafka, "error_cb": errors.append})
        self._errors = errors

    def list_topics(self, timeout: float) -> Any:
        """Kafka's metadata; a `KafkaException` has the refusal if there was one.

        A refusal comes at once, but does not end the call: so a short first try asks for it.
        """
        self._errors.clear()
        try:
            return self._ask(min(FIRST_TRY, timeout))
        except KafkaException as error:
            if refused(error.args[0]):
                raise
        return self._ask(timeout)

    def _ask(self, seconds: float) -> Any:
        try:
            return super().list_topics(timeout=seconds)
        except KafkaException as error:
            self.poll(0)
            if refusal := next(filter(refused, self._errors), None):
                raise KafkaException(refusal) from error
            raise


class RefusalLogger:
    """An `error_cb` for clients that go on trying: it logs a refusal now and then, since no call reports it.

    `complain` is told when no broker is reached.
    """

    def __init__(
        self, complain: Callable[[], object] = lambda: None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._complain = complain
        self._clock = clock
        self._silent_until = float("-inf")

    def __call__(self, error: KafkaError) -> None:
        words, now = refused(error), self._clock()
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._complain()
        if words and now >= self._silent_until:
            self._silent_until = now + LOG_INTERVAL
            logger.error("the broker refuses us: %s", words)
