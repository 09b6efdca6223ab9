"""Sends dead letters again, and marks each as sent again."""

from saga_app.dead_letters import replay
from saga_app.dead_letters.format import LetterId
from saga_app.dead_letters.replay import Plan
from saga_app.kafka.sender import DeliveryUnknown, Sender, Sent


def post(sender: Sender, part: list[Plan]) -> list[list[LetterId]]:
    """Sends letters again, then marks them; returns the new places of each. Raises `DeliveryUnknown` with advice."""
    if not part:
        return []
    try:
        sent = iter(sender.post(each for plan in part for each in plan.sends))
    except DeliveryUnknown as error:
        raise DeliveryUnknown(
            f"{error}; of the last {len(part)} letters nothing is recorded, so the same command sends them again, "
            "and twice changes nothing"
        ) from error
    places = [[_place(next(sent)) for _ in plan.sends] for plan in part]
    try:
        sender.post(map(replay.marker, part, places))
    except DeliveryUnknown as error:
        raise DeliveryUnknown(
            f"{error}; the last {len(part)} letters were sent again, but this is not recorded"
        ) from error
    return places


def _place(sent: Sent) -> LetterId:
    return LetterId(sent.topic, sent.partition, sent.offset)
