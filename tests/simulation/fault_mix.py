"""Which faults a seed has: about a quarter have none, most have a few."""

from typing import Final, NamedTuple

from tests.simulation.choices import Draws

#: What can go wrong, and what it means. Those that are steps stand in `faults.FAULTS` under the same name.
FAULTS: Final = {
    "kill": "a worker ends, at any moment or between any two steps of a round or a restore; its disk stays",
    "kill, disk lost": "a worker ends and its disk is gone",
    "kill, disk behind": "a machine loses power: the last writes of some tables are gone",
    "stop": "a worker gives up its partitions in peace and leaves",
    "pause": "a worker stands still; after the session the group gives its partitions to others, and it wakes",
    "cut off": "a worker's heartbeats do not reach the group, all else does",
    "loading": "the group's coordinator is a new one, which answers every heartbeat without error while it loads",
    "arrive late": "what a worker that ended had under way is written minutes later",
    "lose": "a step request, an ending or a nudge is acknowledged and not there",
    "repeat": "a record is written to its inbox once more",
    "repeat row": "a row is written to its changelog once more",
    "compact": "the broker compacts a changelog",
    "offset expires": "the group's committed offset of an inbox expires",
    "long wait": "half a minute, or ten, in which nobody does anything but the clocks",
    "clock skew": "machines' clocks are up to an hour wrong",
    "wrong partition": "people send records to a wrong partition",
    "bad input": "people send what cannot be applied",
    "cancel": "people cancel orders at any moment",
    "policy": "a rule's parameters are changed",
    "evict": "orders are evicted seconds after they ended, and purged soon after that; their ids are used again",
    "rebuild": "all workers are killed, and the changelogs are made anew from the inboxes",
    "changelog cut": "all workers are killed, and a changelog partition loses its last rows",
    "changelog lost": "all workers are killed, and a changelog partition is deleted and made again",
    "forge": "somebody else writes records of retention, whose numbers are too high",
}


#: The same for providers; with `--providers` a seed draws from these too.
PROVIDER_FAULTS: Final = {
    "time out": "no answer of a provider in time: the request or the answer is lost, or it is executed late",
    "server error": "a provider answers with an error, before it did anything or after it, and may repeat it",
    "arrive at a provider": "a request that was given up is executed after all",
    "webhook": "a provider says by itself what it knows, also twice, also late",
    "a day": "a day passes for the providers, and they forget their keys",
}


#: Drawn apart too, so that all else of a seed is as it was before there were refunds.
REFUND_FAULTS: Final = {
    "refund": "people give back money and goods of orders, also too much, also before an order has completed",
}


class FaultMix(NamedTuple):
    """The faults of one run, and how likely each step is."""

    faults: frozenset[str]
    table: tuple[str, ...]


#: What happens without any fault; the first is the simplest.
NORMAL: Final = (
    *["work"] * 30,
    *["deliver"] * 30,
    *["customers"] * 6,
    *["commit"] * 4,
    *["wait"] * 3,
    *["start"] * 3,
)
#: The same of providers, customers at them, banks, and policies that name a carrier.
NORMAL_OF_PROVIDERS: Final = (*["provider"] * 10, *["customer at a provider"] * 2)


#: Steps that seldom find what they need are tried more often.
_RARE: Final = frozenset({"arrive late", "compact", "arrive at a provider", "time out"})


def fault_mix(
    scene: Draws,
    steps: frozenset[str],
    only: frozenset[str] | None = None,
    providers: Draws | None = None,
    refunds: Draws | None = None,
) -> FaultMix:
    """Draws the faults, unless it is said which; those in `steps` are steps of their own.

    `providers`: where the faults of providers are drawn from, if there are any providers.
    """
    stormy = scene.below(4)
    drawn = {name: scene.below(6) for name in FAULTS}
    if providers is not None:
        # Most seeds have most of them.
        drawn |= {name: 2 + providers.below(4) for name in PROVIDER_FAULTS}
    if refunds is not None:
        drawn |= {name: refunds.below(6) for name in REFUND_FAULTS}
    faults = frozenset(name for name, number in drawn.items() if stormy and number >= 4 - (stormy == 3))
    faults = faults if only is None else only
    weights = [
        name
        for name in drawn
        if name in faults & steps
        for _ in range((1 + drawn[name] // 4) * (8 if name in _RARE else 1))
    ]
    normal = NORMAL if providers is None else (*NORMAL, *NORMAL_OF_PROVIDERS)
    return FaultMix(faults, (*normal, *weights))
