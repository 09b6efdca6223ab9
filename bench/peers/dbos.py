"""The saga on DBOS: a workflow behind FastAPI, and a transaction on rows in the same PostgreSQL for each step.

After its guides for workflows, transactions and FastAPI, with its own sizes of pools and threads. Rows are locked in
one order, so that transactions wait for one another and need not be repeated.
"""

import json
import os
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Final, cast

import uvicorn
from dbos import DBOS, SetWorkflowID, SQLAlchemyDatasource
from fastapi import Body, FastAPI
from sqlalchemy import text

from bench.peers import balances
from bench.peers.balances import COMPLETED, ReadRows, more, parts
from bench.peers.rules import INVENTORY, PAYMENT, SHIPPING, Moves, PeerService, Record, normal, ship

ISOLATION: Final = "READ COMMITTED"
STEPS: Final = {step.name: step for step in (PAYMENT, INVENTORY, SHIPPING)}


def saga(data: SQLAlchemyDatasource) -> Callable[[Record], str]:
    """The workflow of one order, from its placing to its ending."""

    def change(step: PeerService, keys: Iterable[str], rule: Callable[[ReadRows], Any]) -> Any:
        session, table = data.sql_session(), step.balances
        read = text(f"SELECT key, row FROM {table} WHERE key = ANY(:keys) ORDER BY key FOR UPDATE")
        rows = ReadRows(dict(session.execute(read, {"keys": list(keys)}).all()))
        answer = rule(rows)
        if rows.changed:
            changed = [{"key": key, "row": json.dumps(row)} for key, row in rows.changed.items()]
            session.execute(text(f"UPDATE {table} SET row = CAST(:row AS jsonb) WHERE key = :key"), changed)
        return answer

    @data.transaction(isolation_level=ISOLATION)
    def take(name: str, order: Record) -> Any:
        step = STEPS[name]
        return change(step, parts(step, order), lambda rows: balances.take(step, order, rows))

    @data.transaction(isolation_level=ISOLATION)
    def give_back(name: str, order: Record, moves: Moves) -> None:
        step = STEPS[name]
        change(step, parts(step, order), lambda rows: balances.give_back(step, moves, rows))

    @DBOS.step()
    def shipping(order: Record) -> Any:
        return ship(order, ReadRows({}))

    @DBOS.workflow()
    def checkout(placed: Record) -> str:
        order = normal(placed)
        undo: list[tuple[str, Moves]] = []
        for name, step in STEPS.items():
            answer = shipping(order) if step is SHIPPING else take(name, order)
            if isinstance(answer, str):
                for done, moves in reversed(undo):
                    give_back(done, order, moves)
                return answer
            undo.append((name, answer))
        return COMPLETED

    return cast(Callable[[Record], str], checkout)


def create_app(url: str) -> FastAPI:
    """The addresses that callers use."""
    api = FastAPI()
    DBOS(config={"name": "checkout", "system_database_url": url, "log_level": "WARNING"})
    data = SQLAlchemyDatasource.create(url)
    checkout = saga(data)
    with data.engine.begin() as connection:
        for table in (PAYMENT.balances, INVENTORY.balances):
            connection.execute(text(f"CREATE TABLE {table} (key text PRIMARY KEY, row jsonb NOT NULL)"))

    @api.post("/checkout/place")
    def place(placed: Record) -> str:
        with SetWorkflowID(placed["order_id"]):
            return checkout(placed)

    @api.post("/{table}/{key}/supply")
    def supply(table: str, key: str, amount: Annotated[Any, Body()]) -> None:
        row = {"key": key, "row": json.dumps(more(None, amount))}
        with data.engine.begin() as connection:
            connection.execute(text(f"INSERT INTO {table} VALUES (:key, CAST(:row AS jsonb))"), row)

    @api.post("/{table}/{key}/left")
    def left(table: str, key: str) -> Any:
        with data.engine.begin() as connection:
            row = connection.execute(text(f"SELECT row FROM {table} WHERE key = :key"), {"key": key}).one()[0]
        return row["left"]

    DBOS.launch()
    return api


if __name__ == "__main__":
    uvicorn.run(
        create_app(os.environ["BENCH_DATABASE"]),
        port=int(os.environ["BENCH_PORT"]),
        log_level="warning",
        access_log=False,
    )
