"""What `saga ...` offers; the same commands are there as `faust -A saga_app ...`."""

from saga_app.commands import doctor, place, policy, settings, supply, topics
from saga_app.commands.program import main

__all__ = ["main"]

for command in (
    place.place,
    place.cancel,
    supply.deposit,
    supply.receive,
    policy.policy,
    topics.topics,
    settings.settings,
    doctor.doctor,
):
    main.add_command(command)
