"""Whom a strike hits, and when it would show something."""

from tests.chaos.arena import Arena
from tests.chaos.crew import Member
from tests.chaos.fault import Whom
from tests.chaos.plan import Strike


def victims(arena: Arena, strike: Strike) -> list[Member]:
    """The workers that it needs for itself."""
    match strike.fault.whom:
        case Whom.ALL:
            return arena.workers
        case Whom.BROKER:
            return []
        case Whom.GUEST:
            return [arena.guest]
        case _:
            return [arena.member(strike.victim)]


def is_good(arena: Arena, strike: Strike) -> bool:
    """Whether work is in flight, and some that its victims had a part in is done."""
    if strike.hasty:
        return True
    if strike.fault.whom is Whom.BROKER and arena.watch.count == arena.broker_since:
        return False
    return bool(arena.watch.open) and all(
        member.ready and arena.watch.count > member.ended_when_ready
        for member in victims(arena, strike)
        if member is not arena.guest
    )
