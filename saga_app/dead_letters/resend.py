"""Replays dead letters: sends their records, then writes the markers."""

from saga_app.dead_letters import replay
from saga_app.dead_letters.format import LetterId
from saga_app.dead_letters.replay import ReplayPlan
from saga_app.kafka.sender import DeliveryUnknown, Sender, Sent


def post(sender: Sender, part: list[ReplayPlan]) -> list[list[LetterId]]:
    """Sends the records of these plans, then their markers; returns the places of each plan's records.

    Raises `Unsure` if the broker does not say what it has; the message says what is recorded.
    """
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
