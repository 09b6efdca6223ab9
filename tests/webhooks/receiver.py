"""An endpoint of a shop on this machine: it verifies each event, and answers as it is told."""

import threading
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook

SECRET = "whsec_" + b64encode(b"s" * 32).decode()
#: Of an event's id and the number of this try, from 1: the status, and perhaps headers.
Answer = Callable[[str, int], int]


class WebhookReceiver:
    """Its server listens from the beginning; `taken` has the ids to which it said 200, `tried` all."""

    def __init__(
        self, answer: Answer = lambda event, tries: 200, secret: str = SECRET, delay: float = 0
    ) -> None:
        self.answer = answer
        self.delay = delay
        self.headers: dict[str, str] = {}
        self.body = b"well"
        self.tried: Counter[str] = Counter()
        self.taken: Counter[str] = Counter()
        self.events: list[dict[str, Any]] = []
        self.wrong: list[str] = []
        receiver, lock, webhook = self, threading.Lock(), Webhook(secret)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers["Content-Length"]))
                event = self.headers["webhook-id"]
                try:
                    body = webhook.verify(data, dict(self.headers.items()))
                except Exception as error:
                    receiver.wrong.append(repr(error))
                    body = {}
                time.sleep(receiver.delay)
                with lock:
                    receiver.tried[event] += 1
                    status = receiver.answer(event, receiver.tried[event])
                    if status == 200:
                        receiver.taken[event] += 1
                        receiver.events.append(body)
                self.send_response(status)
                for header in receiver.headers.items():
                    self.send_header(*header)
                self.send_header("Content-Length", str(len(receiver.body)))
                self.end_headers()
                self.wfile.write(receiver.body)

            def log_message(self, *words: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/hooks"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def written_endpoints(folder: Path, **endpoints: str) -> Path:
    """A file with these endpoints, by name their address, all on this machine and with the same secret."""
    secret = folder / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    file = folder / "webhooks.toml"
    file.write_text(
        "".join(
            f'[{name}]\nurl = "{url}"\nsecret_file = "secret"\nplaintext = true\nprivate = true\nbegin = "all"\n'
            for name, url in endpoints.items()
        )
    )
    return file
