"""The TLS and SASL settings for Faust and aiokafka, and a filter that keeps credentials out of the log."""

import logging

from faust.auth import Credentials, SASLCredentials, SSLCredentials

from saga_app.security import Security


def credentials(security: Security) -> Credentials | None:
    """As Faust wants them; None for plaintext."""
    context = security.context()
    if security.sasl:
        # aiokafka writes every request to its log at the level DEBUG, the password of mechanism PLAIN too.
        logging.getLogger("aiokafka.conn").addFilter(tells_no_credentials)
        return SASLCredentials(
            username=security.username,
            password=security.password,
            ssl_context=context,
            mechanism=security.mechanism,
        )
    return SSLCredentials(context) if context else None


def tells_no_credentials(record: logging.LogRecord) -> bool:
    """True if the line may be logged: it shows no credentials."""
    shown = record.args if isinstance(record.args, tuple) else ()
    return not any(type(each).__name__.startswith("SaslAuthenticateRequest") for each in shown)
