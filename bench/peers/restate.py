"""The saga on Restate: a service that journals its calls, and a virtual object for each account and each article.

After its guides for sagas and virtual objects: a list of what must be undone, last first. The lines of an order are
asked at once, since each is an object of its own. It is served as its templates do, by Hypercorn in one process.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Any, Final

import hypercorn
import hypercorn.asyncio
import restate

from bench.peers import balances
from bench.peers.balances import COMPLETED, ReadRows, more, parts
from bench.peers.rules import INVENTORY, PAYMENT, SHIPPING, Moves, PeerService, Record, Row, normal, ship

checkout = restate.Service("checkout")
TAKE: Final[dict[str, Any]] = {}
GIVE_BACK: Final[dict[str, Any]] = {}


def balance(step: PeerService) -> Any:
    """The kind of object that this step asks: one row, which one request at a time reads and changes."""
    made = restate.VirtualObject(step.balances)

    async def change(ctx: restate.ObjectContext, rule: Callable[[ReadRows], Any]) -> Any:
        rows = ReadRows({ctx.key(): await ctx.get("row")})
        answer = rule(rows)
        for row in rows.changed.values():
            ctx.set("row", row)
        return answer

    @made.handler()
    async def take(ctx: restate.ObjectContext, order: Record) -> Any:
        return await change(ctx, lambda rows: balances.take(step, order, rows))

    @made.handler()
    async def give_back(ctx: restate.ObjectContext, moves: Moves) -> None:
        await change(ctx, lambda rows: balances.give_back(step, moves, rows))

    @made.handler()
    async def supply(ctx: restate.ObjectContext, amount: Any) -> None:
        row: Row | None = await ctx.get("row")
        ctx.set("row", more(row, amount))

    @made.handler(kind="shared")
    async def left(ctx: restate.ObjectSharedContext) -> Any:
        row: Any = await ctx.get("row")
        return row["left"]

    TAKE[step.name], GIVE_BACK[step.name] = take, give_back
    return made


async def do(ctx: restate.Context, step: PeerService, order: Record) -> dict[str, Any]:
    """The answer of each balance: a reason, or the amounts taken. Shipping has none; it is a step of the journal."""
    if step is SHIPPING:
        return {"": await ctx.run_typed("ship", ship, order=order, rows=ReadRows({}))}
    asked = {key: ctx.object_call(TAKE[step.name], key, part) for key, part in parts(step, order).items()}
    await restate.gather(*asked.values())
    return {key: await each for key, each in asked.items()}


@checkout.handler()
async def place(ctx: restate.Context, placed: Record) -> str:
    """One order from its placing to its ending."""
    order = normal(placed)
    undo: list[tuple[PeerService, str, Moves]] = []
    for step in (PAYMENT, INVENTORY, SHIPPING):
        answers = await do(ctx, step, order)
        undo += [(step, key, answer) for key, answer in answers.items() if not isinstance(answer, str)]
        if reasons := [answer for answer in answers.values() if isinstance(answer, str)]:
            for done, key, moves in reversed(undo):
                await ctx.object_call(GIVE_BACK[done.name], key, moves)
            # An unknown article is the reason before one that is out of stock, as in the rules.
            return max(reasons)
    return COMPLETED


app = restate.app([checkout, balance(PAYMENT), balance(INVENTORY)])


def main() -> None:
    config = hypercorn.Config()
    config.bind = [f"127.0.0.1:{os.environ['BENCH_PORT']}"]
    asyncio.run(hypercorn.asyncio.serve(app, config))  # type: ignore[arg-type, unused-ignore]


if __name__ == "__main__":
    main()
