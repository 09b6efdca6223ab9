"""The order database knows what providers are asked for in all partitions, so every program can say it."""

import asyncio
from pathlib import Path

from saga_app.core.records import Outcome
from saga_app.effects.reading import EffectsReading
from saga_app.orderdb.queries import effects, reading
from saga_app.times import now
from tests.web.shop import FilledShop
from tests.web.test_in_doubt import outside, says

HOUR = 3_600_000


def test_effects_are_counted_by_provider_and_age_and_what_has_ended_is_not(tmp_path: Path) -> None:
    shop = FilledShop(f"sqlite:///{tmp_path}/orders.db", now() - HOUR)
    shop.send(outside("waits"), outside("waits-too"), outside("paid"), says("paid", Outcome.DONE, "pi_4"))
    shop.send(outside("twice"), says("twice", Outcome.DONE, "pi_2"), says("twice", Outcome.DONE, "pi_3"))
    at = now()
    shop.services.set_clock(at)
    shop.send(outside("young"))
    found = asyncio.run(
        reading.ask(shop.settings, lambda connection: effects.reading(connection, at + 1_000))
    )
    assert (found.asked, found.in_doubt, found.conflicts) == ({"stripe": 3}, {"stripe": 2}, 1)
    assert HOUR <= found.oldest["stripe"] <= HOUR + 60_000
    shop.close()


def test_an_empty_copy_has_none(tmp_path: Path) -> None:
    shop = FilledShop(f"sqlite:///{tmp_path}/orders.db", now() - HOUR)
    found = asyncio.run(reading.ask(shop.settings, lambda connection: effects.reading(connection, now())))
    assert found == EffectsReading({}, {}, {}, {}, ())
    shop.close()
