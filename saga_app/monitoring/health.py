"""The health of a worker: is it ready, and if not, why?"""

from typing import Any, Final, NamedTuple

from saga_app.engine.faust.app import SagaApp

#: Seconds of the watchdog's doubt after which the worker is not ready: a heartbeat may be late.
LONGEST_DOUBT: Final = 5.0


class Health(NamedTuple):
    """`state` is one of `STATES`; `why` explains it if it needs an explanation."""

    ready: bool
    state: str
    why: str = ""
    partitions: int = 0

    def as_json(self) -> dict[str, Any]:
        return {"ready": self.ready, "state": self.state, "why": self.why, "partitions": self.partitions}


#: The states of a worker.
STATES: Final = ("starting", "recovering", "rebalancing", "no partitions", "stuck", "stopping", "ready")


def health(app: SagaApp) -> Health:
    """The health now. It asks no other process and waits for none."""
    if app.should_stop:
        return Health(False, "stopping")
    if app.watchdog is None:
        return Health(False, "starting", "the topics are looked at")
    doubt = next(
        ((what, seconds) for what, seconds in app.watchdog.doubts().items() if seconds > LONGEST_DOUBT), None
    )
    recovery = app.tables._recovery
    engine = app.engine
    if recovery is not None and recovery.in_recovery:
        return Health(False, "recovering", "rows are read from the changelogs")
    if app.rebalancing:
        return Health(False, "rebalancing", _in_words(doubt))
    if engine.generation < 0:
        return Health(False, "no partitions" if doubt else "starting", _in_words(doubt))
    partitions = len({partition for _, partition in engine.durable})
    if doubt is not None:
        return Health(False, "stuck", _in_words(doubt), partitions)
    if not partitions:
        return Health(False, "no partitions", "the group has more workers than partitions")
    return Health(True, "ready", "", partitions)


def _in_words(doubt: tuple[str, float] | None) -> str:
    return "" if doubt is None else f"{doubt[0]}, for {doubt[1]:.0f} s"
