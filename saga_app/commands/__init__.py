"""What `saga ...` offers; the same commands are there as `faust -A saga_app ...`."""

from saga_app.commands import (
    audit,
    dead_letters,
    doctor,
    history,
    orderbook,
    orders,
    place,
    policy,
    replay,
    settings,
    supply,
    topics,
)
from saga_app.commands.program import main

__all__ = ["main"]

for command in (
    place.place,
    place.cancel,
    supply.deposit,
    supply.receive,
    policy.policy,
    dead_letters.dead_letters,
    replay.replay,
    topics.topics,
    settings.settings,
    doctor.doctor,
    audit.audit,
    history.history,
    orderbook.orderbook,
    orderbook.rebuild_orders,
    orders.orders,
):
    main.add_command(command)
