"""The commands of `saga`; `faust -A saga_app` has the same ones."""

from saga_app.commands import (
    advance,
    audit,
    dead_letters,
    doctor,
    history,
    order,
    orderdb,
    orders,
    pages,
    place,
    policy,
    provider_check,
    rebuild,
    reconcile,
    repair,
    replay,
    settings,
    shell_completion,
    stock,
    supply,
    topics,
    watch,
)
from saga_app.commands.program import main

__all__ = ["main"]

for command in (
    place.place,
    place.cancel,
    supply.deposit,
    supply.receive,
    policy.policy,
    provider_check.provider_check,
    dead_letters.dead_letters,
    replay.replay,
    topics.topics,
    settings.settings,
    doctor.doctor,
    audit.audit,
    rebuild.rebuild,
    reconcile.reconcile,
    advance.advance,
    repair.repair,
    history.history,
    orderdb.orderdb,
    orders.orders,
    order.order,
    watch.watch,
    pages.pages,
    shell_completion.shell_completion,
    stock.stock,
    stock.accounts,
):
    main.add_command(command)
