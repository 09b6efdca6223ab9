"""Logged lines for machines: one JSON object per line, whoever logs it (Faust and aiokafka too)."""

import json
import logging

from saga_app.times import written


class JsonLines(logging.Formatter):
    """`time` (UTC, milliseconds), `level`, `logger`, `message`; `order_id` where it is about one order.

    `error` has the traceback of an exception.
    """

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": written(int(record.created * 1000)),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if order_id := getattr(record, "order_id", None):
            line["order_id"] = order_id
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


def log_json(logger: logging.Logger) -> None:
    """From now on every handler of the logger writes JSON; Faust's own formats are made for terminals."""
    for handler in logger.handlers:
        handler.setFormatter(JsonLines())
