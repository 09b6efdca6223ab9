"""Payments at a provider: what an order with one costs, and what it adds to the orders that need none.

One worker takes three loads: outside orders at once, outside orders at a steady rate, and as many of both kinds in
turns at twice that rate. The last one is compared with as many orders that all stay inside.
"""

import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from bench import candidates, load
from bench.candidates import Launch
from bench.engines import answers
from bench.environments import HOME, ROOT, Say
from bench.load import OrderLoad
from bench.peers.place import Place
from bench.process import Process
from bench.quiet import QuietGate
from bench.stats import percentile
from bench.trial import CandidateRun
from bench.verdict import Wrong
from bench.watch import SeenOrders
from saga_app.local.broker import Broker
from saga_app.local.config import free_ports

NAME: Final = "slow"
#: Milliseconds until the provider answers; None is a worker that has no provider.
DELAYS: Final = (None, 50, 300)


@dataclass(frozen=True)
class ProviderPlan:
    """Outside orders at once, and outside orders a second for so many seconds."""

    orders: int = 2_000
    rate: int = 50
    seconds: float = 10.0


def providers(
    broker: Broker, plan: ProviderPlan, number: int, gate: QuietGate, say: Say
) -> list[dict[str, Any]]:
    """One round: the figures for each delay. Raises `Wrong`, `TooSlow` and `ProcessFailed`."""
    found = []
    for delay in DELAYS:
        figures = _measured(broker, plan, f"bench-provider-{delay or 'none'}-{number}", delay, gate, say)
        found.append({"round": number, "delay_ms": delay, **figures})
        say(f"providers, round {number}, {delay or 'no'} ms: inside p50 {figures['inside_p50_ms']:.0f} ms")
    return found


def _measured(
    broker: Broker, plan: ProviderPlan, name: str, delay: int | None, gate: QuietGate, say: Say
) -> dict[str, Any]:
    provider, port = None, free_ports(1)[0]
    if delay is not None:
        command = [sys.executable, "-m", "bench.peers.provider", str(port), str(delay)]
        folder = HOME / "data"
        folder.mkdir(parents=True, exist_ok=True)
        provider = Process(Launch(command, {"PYTHONPATH": str(ROOT)}), folder / f"{name}.log")
    life = None
    try:
        if provider is not None:
            answers(provider, f"http://127.0.0.1:{port}/effects")
        ours = candidates.chosen(["ours"])[0]
        life = CandidateRun(ours, _launch(port if provider else None, say), broker, name, gate)
        life.warm_up(load.supplies(), load.mix(plan.orders, "warm"))
        return _loads(life, plan, is_outside=provider is not None)
    finally:
        if life is not None:
            life.close()
        if provider is not None:
            provider.stop()


def _loads(life: CandidateRun, plan: ProviderPlan, *, is_outside: bool) -> dict[str, Any]:
    count = round(plan.rate * plan.seconds)
    inside = load.mix(count, "inside")
    other = load.mix(count, "other")
    figures: dict[str, Any] = {"rate": plan.rate}
    if is_outside:
        figures |= _named("backlog", life.run(outside(load.mix(plan.orders, "backlog"))))
        steady = life.run(outside(load.mix(count, "steady")), plan.rate)
        figures |= _named("outside", steady)
        other = outside(other)
    mixed = life.run(in_turns(inside, other), 2 * plan.rate)
    waited = latencies(life.seen, inside.expected)
    return {
        **figures,
        "inside_p50_ms": percentile(waited, 0.5),
        "inside_p99_ms": percentile(waited, 0.99),
        **{each: mixed[each] for each in ("calibration_ms", "steal_percent", "others_percent")},
    }


def outside(orders: OrderLoad) -> OrderLoad:
    """The same orders, paid at the provider."""
    return load.changed(orders, payment_method=f"{NAME}:card")


def in_turns(some: OrderLoad, others: OrderLoad) -> OrderLoad:
    """One of these, one of those, and so on."""
    pairs = zip(some.messages, others.messages, strict=True)
    return OrderLoad(list(chain.from_iterable(pairs)), {**some.expected, **others.expected})


def latencies(seen: SeenOrders | None, orders: Collection[str]) -> Sequence[int]:
    """Milliseconds from the placing to the end of these orders. Raises `Wrong` if nothing was seen."""
    if seen is None:
        raise Wrong("no order was seen")
    return [seen.ended_at[order] - seen.placed_at[order] for order in orders]


def _named(part: str, figures: dict[str, Any]) -> dict[str, Any]:
    return {f"{part}_{name}": figures[name] for name in ("per_second", "cpu_ms", "p50_ms", "p99_ms")}


def _launch(port: int | None, say: Say) -> Callable[[Place], Launch]:
    ours = candidates.ours(say)
    told = {
        "SAGA_PROVIDERS": f"{NAME}=saga_app.effects.providers.http:provider",
        f"SAGA_PROVIDER_{NAME.upper()}_ADDRESS": f"http://127.0.0.1:{port}",
    }

    def launch(here: Place) -> Launch:
        command, variables = ours(here)
        return Launch(command, variables if port is None else {**variables, **told})

    return launch
