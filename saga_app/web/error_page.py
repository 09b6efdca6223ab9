"""The page about an error: the error, its place, and the next step."""

import logging
from typing import Final

from aiohttp import web
from confluent_kafka import KafkaException

from saga_app.core.errors import Rejected
from saga_app.dead_letters.actions import LetterMissing
from saga_app.dead_letters.replay import NotReplayable
from saga_app.kafka.sender import DeliveryUnknown
from saga_app.kafka.topic_admin import BrokerUnreachable, TopicsWrong
from saga_app.orderdb.database import DatabaseEmpty, DatabaseWrong, in_words, is_down
from saga_app.web.actions import NothingSent
from saga_app.web.view import InvalidAddress, View

_LOG: Final = logging.getLogger(__name__)
_EMPTY: Final = "`saga orderdb run` copies the orders into the database; `scripts/run` starts it too."
#: Errors, with the status of the response, its title, and the next step.
_PAGES: Final[tuple[tuple[type[Exception] | tuple[type[Exception], ...], int, str, str], ...]] = (
    (Rejected, 400, "That cannot be sent", ""),
    ((NothingSent, LetterMissing, NotReplayable), 409, "Nothing was sent", ""),
    (DatabaseEmpty, 503, "There are no orders to show yet", _EMPTY),
    (DatabaseWrong, 503, "The order database cannot be used", ""),
    (
        (BrokerUnreachable, KafkaException, TimeoutError, TopicsWrong, DeliveryUnknown),
        503,
        "Kafka does not answer as it should",
        "`saga doctor` looks at everything.",
    ),
)


def error_view(error: Exception) -> View:
    """The page about an error; an unexpected error also goes to the log."""
    if isinstance(error, web.HTTPException):
        return _view(error.status, error.reason, error.text or "", "")
    if isinstance(error, InvalidAddress):
        title = "There is no such page" if error.status == 404 else "That cannot be asked"
        return _view(error.status, title, str(error), "")
    for kinds, status, title, todo in _PAGES:
        if isinstance(error, kinds):
            return _view(status, title, str(error), todo)
    if is_down(error):
        todo = "Is SAGA_DB_URL right, and does its server run?"
        return _view(503, "The order database does not answer", in_words(error), todo)
    _LOG.error("a page failed", exc_info=error)
    return _view(500, "This page failed", "", "The log of the process that serves the pages says why.")


def _view(status: int, title: str, what: str, todo: str) -> View:
    return View("error.html", {"title": title, "what": what, "todo": todo}, status)
