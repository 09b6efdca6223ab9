"""A carrier in some ninety lines, on Python alone: `python carrier.py --port 8900 --file carrier.db`.

An effect is one row of a table. The first call about an effect writes its row, an `undo` takes it back, and each answer
tells what the row says now. So it does not matter how often a call comes, when, and after which other one.
"""

import argparse
import json
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TABLE = "CREATE TABLE IF NOT EXISTS effects (effect TEXT PRIMARY KEY, step, order_id, segment, outcome, reference, at)"


def decide(call: dict[str, Any]) -> tuple[str, str | None]:
    """The outcome of an effect that nobody has asked for before, and our name of it."""
    if call["action"] != "do" or call["order"].get("country", "GB") != "GB":
        # This seals it: a `do` that is still under way will find the row.
        return "refused", None
    return "done", f"parcel-{call['effect']}"


def answer(db: sqlite3.Connection, call: dict[str, Any]) -> dict[str, Any]:
    """Carries out a call in one transaction, which is on the disk before anybody hears of it; says what is true."""
    names = (call["effect"], call["step"], call["order"]["order_id"], call.get("segment"))
    db.execute("BEGIN IMMEDIATE")
    row = (*names, *decide(call), datetime.now(UTC).isoformat())
    db.execute("INSERT INTO effects VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", row)
    if call["action"] == "undo":
        db.execute("UPDATE effects SET outcome = 'undone' WHERE effect = ? AND outcome = 'done'", names[:1])
    [found] = rows(db, "SELECT outcome, reference FROM effects WHERE effect = ?", call["effect"])
    db.execute("COMMIT")
    return found


def rows(db: sqlite3.Connection, query: str, value: str) -> list[dict[str, Any]]:
    """Rows as the contract writes them: what is not there is left out."""
    found = db.execute(query, (value,))
    names = [each[0] for each in found.description]
    return [{name: each for name, each in zip(names, row, strict=True) if each is not None} for row in found]


class Carrier(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            call = json.loads(body)
            if self.path.split("/")[1:] != [call["step"], call["action"]] or not call["order"]["order_id"]:
                raise ValueError("not for this path")
        except (ValueError, KeyError, TypeError):
            self.send(400, {"detail": "this is no call, or not for this path"})
        else:
            self.send(200, lambda db: answer(db, call))

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/effects":
            since = datetime.fromisoformat(parse_qs(url.query)["since"][0]).astimezone(UTC).isoformat()
            query = "SELECT * FROM effects WHERE at >= ? ORDER BY at"
            self.send(200, lambda db: {"effects": rows(db, query, since)})
        else:
            effect = unquote(url.path.rpartition("/")[2])
            self.send(
                200, lambda db: next(iter(rows(db, "SELECT * FROM effects WHERE effect = ?", effect)), None)
            )

    def send(self, status: int, content: Any) -> None:
        """Works the content out, but not for everybody."""
        if TOKEN and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            status, content = 401, {"detail": "the token is wrong"}
        if callable(content):
            with closing(sqlite3.connect(given.file, timeout=10, isolation_level=None)) as db:
                content = content(db)
        if content is None:
            status, content = 404, {"detail": "nobody has asked for this effect"}
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8900)
    parser.add_argument("--file", default="carrier.db")
    given = parser.parse_args()
    TOKEN = os.environ.get("CARRIER_TOKEN", "")
    with closing(sqlite3.connect(given.file)) as db:
        db.execute(TABLE)
    ThreadingHTTPServer(("127.0.0.1", given.port), Carrier).serve_forever()
