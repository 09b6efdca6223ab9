"""The health of a worker: alive, and ready if it does its work."""

from typing import Any, Final, NamedTuple

from saga_app.effects.dispatcher import dispatcher_of
from saga_app.engine.faust.app import SagaApp

#: Seconds that the watchdog may doubt something before the worker is not ready: a heartbeat may be late.
PATIENCE: Final = 5.0


class Health(NamedTuple):
    """`state` is one word of `STATES`; `why` says more where there is more to say."""

    ready: bool
    state: str
    why: str = ""
    partitions: int = 0

    def as_json(self) -> dict[str, Any]:
        return {"ready": self.ready, "state": self.state, "why": self.why, "partitions": self.partitions}


#: What a worker can be.
STATES: Final = (
    "starting",
    "recovering",
    "rebalancing",
    "no partitions",
    "stuck",
    "topics wrong",
    "stopping",
    "ready",
)


def health(app: SagaApp) -> Health:
    """Looks at what is there; asks nobody and waits for nothing."""
    if app.should_stop:
        return Health(False, "stopping")
    if app.watchdog is None or app.topic_watch is None:
        return Health(False, "starting", "the topics are looked at")
    doubt = next(
        ((what, seconds) for what, seconds in app.watchdog.doubts().items() if seconds > PATIENCE), None
    )
    recovery = app.tables._recovery
    engine = app.engine
    if recovery is not None and recovery.in_recovery:
        return Health(False, "recovering", "rows are read from the changelogs")
    if app.rebalancing:
        return Health(False, "rebalancing", _told(doubt))
    if engine.assignment.held is None:
        return Health(False, "no partitions" if doubt else "starting", _told(doubt))
    partitions = len(engine.assignment.partitions)
    if doubt is not None:
        return Health(False, "stuck", _told(doubt), partitions)
    if not partitions:
        return Health(False, "no partitions", "the group has more workers than partitions")
    if app.topic_watch.fault:
        return Health(False, "topics wrong", app.topic_watch.fault, partitions)
    # It does what it can, so it is ready; but its inbox may only look empty, and orders may wait for a provider.
    dispatcher = dispatcher_of(engine)
    waits = "" if dispatcher is None else dispatcher.reading().in_words()
    return Health(True, "ready", "; ".join(filter(None, (app.held_back_watch.why, waits))), partitions)


def _told(doubt: tuple[str, float] | None) -> str:
    return "" if doubt is None else f"{doubt[0]}, for {doubt[1]:.0f} s"
