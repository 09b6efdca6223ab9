"""The saga on Quix Streams: one application, four topics, state of each by message key.

After its guides for state, branching and configuration. It commits every second, as the others do, instead of every 5;
`producer_extra_config` and `consumer_poll_timeout` are its means against latency.
"""

import os
from functools import partial
from typing import Any

from quixstreams import Application, State

from bench.peers.place import place
from bench.peers.rules import SERVICES, Row, key_of, topic_of


class QuixRows:
    """State is kept per message key, so a row lies with the key of the request that reads it."""

    def __init__(self, state: State) -> None:
        self._state = state

    def get(self, table: str, key: str) -> Row | None:
        return self._state.get(f"{table}:{key}")  # type: ignore[no-any-return]

    def put(self, table: str, key: str, row: Row) -> None:
        self._state.set(f"{table}:{key}", row)


def handle(service: Any, record: Any, state: State) -> Any:
    """The records that the service sends on."""
    return service(record, QuixRows(state))


def main() -> None:
    here = place()
    app = Application(
        here.broker,
        consumer_group=here.group,
        auto_offset_reset="earliest",
        state_dir=here.data,
        commit_interval=1.0,
        processing_guarantee=os.environ.get("BENCH_GUARANTEE", "at-least-once"),
        producer_extra_config={"linger.ms": 5, "queue.buffering.max.messages": 1_000_000},
        loglevel="WARNING",
    )
    inboxes = {name: app.topic(name, key_serializer="str") for name in SERVICES}
    for name, service in SERVICES.items():
        answers = app.dataframe(inboxes[name]).apply(partial(handle, service), stateful=True, expand=True)
        answers.to_topic(lambda record, *_: inboxes[topic_of(record)], key=key_of)
    app.run()


if __name__ == "__main__":
    main()
