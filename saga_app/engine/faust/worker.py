"""The worker: the first SIGTERM or SIGINT starts a timer that ends the process (rh#484, faust#324: stops that hang)."""

import logging
import signal
import threading
from typing import Final, NoReturn

import faust

from saga_app.engine.exits import Exit, Fatal, ends_process
from saga_app.engine.faust.json_lines import log_json
from saga_app.engine.faust.quiet import quieten

#: Seconds from the signal to the end, at most; supervisors send SIGKILL after 30.
LONGEST_STOP: Final = 25.0


class SagaWorker(faust.Worker):  # type: ignore[misc]
    """Faust's worker with a bounded stop, and without aiokafka's floods of lines."""

    def on_setup_root_logger(self, logger: logging.Logger, level: int) -> None:
        super().on_setup_root_logger(logger, level)
        quieten(self.app.engine.outage.complain)
        if self.app.settings.log == "json":
            log_json(logger)

    def _schedule_shutdown(self, received: signal.Signals) -> None:
        if not self._signal_stop_time:
            timer = threading.Timer(LONGEST_STOP, ends_process(_too_slow))
            timer.daemon = True
            timer.start()
        super()._schedule_shutdown(received)


def _too_slow() -> NoReturn:
    raise Fatal(Exit.STOP_TOO_SLOW, f"stopping took more than {LONGEST_STOP:.0f} s; nothing is lost")
