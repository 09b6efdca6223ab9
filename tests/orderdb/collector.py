"""An OpenTelemetry collector for tests: takes OTLP over HTTP, and keeps the spans."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class CollectedSpan(NamedTuple):
    """Ids in hexadecimal, `parent` empty where there is none; times in milliseconds."""

    trace: str
    span: str
    parent: str
    name: str
    start: int
    end: int
    told: dict[str, Any]


class Collector:
    """The spans that have come; with another `status` it takes none."""

    def __init__(self) -> None:
        self.spans: list[CollectedSpan] = []
        self.status = 200
        self.url = ""

    def traces(self) -> dict[str, list[CollectedSpan]]:
        """The spans of each order, by its id."""
        found: dict[str, list[CollectedSpan]] = {}
        for span in self.spans:
            found.setdefault(span.told["saga.order_id"], []).append(span)
        return found


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a port of its own."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if collector.status == 200:
                collector.spans += _spans(body)
            self.send_response(collector.status)
            self.end_headers()

        def log_message(self, *words: Any) -> None:
            """Logs nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.url = f"http://127.0.0.1:{server.server_port}/v1/traces"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def _spans(body: bytes) -> Iterator[CollectedSpan]:
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                told = {each.key: _value(each.value) for each in span.attributes}
                yield CollectedSpan(
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.name,
                    span.start_time_unix_nano // 1_000_000,
                    span.end_time_unix_nano // 1_000_000,
                    told,
                )


def _value(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))
