"""The victims of a strike, and the moments at which it can show something."""

from tests.chaos.fault import Whom
from tests.chaos.plan import Strike
from tests.chaos.supervisor import SupervisedWorker
from tests.chaos.system import System


def victims(system: System, strike: Strike) -> list[SupervisedWorker]:
    """The workers that it needs for itself."""
    match strike.fault.whom:
        case Whom.ALL:
            return system.workers
        case Whom.BROKER | Whom.PROVIDER | Whom.API | Whom.OUTBOX | Whom.WEBHOOKS:
            return []
        case Whom.GUEST:
            return [system.guest]
        case _:
            return [system.member(strike.victim)]


def is_good(system: System, strike: Strike) -> bool:
    """True if work is in flight, and orders have ended since the victims became ready."""
    if strike.hasty:
        return True
    if strike.fault.whom is Whom.BROKER and system.watch.count == system.broker_since:
        return False
    if strike.fault.whom.value in (door.name for door in system.doors):
        door = system.door(strike.fault.whom.value)
        return door.is_busy and door.done_since_start > 0 and bool(system.watch.open)
    return bool(system.watch.open) and all(
        member.ready and system.watch.count > member.ended_when_ready
        for member in victims(system, strike)
        if member is not system.guest
    )
