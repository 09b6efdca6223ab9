"""How far the database is behind the topics."""

from collections.abc import Mapping

from saga_app.kafka.messages import Place
from saga_app.orderdb.copy.source_topics import SourceAdmin
from saga_app.settings import Settings


def behind(settings: Settings, reached: Mapping[Place, int]) -> dict[str, int]:
    """Of each topic the records that are there and not in the database. Raises `KafkaException`, `TopicsMissing`."""
    broker = SourceAdmin(settings)
    places = broker.origin().places
    first, ends = broker.beginnings(places), broker.ends(places)
    lag = {topic: 0 for topic, _ in places}
    for place in places:
        lag[place[0]] += max(0, ends[place] - max(first[place], reached.get(place, 0)))
    return lag
