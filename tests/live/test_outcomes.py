"""`order_outcomes` on a broker: a worker tells each ending, people print it, and a lost topic is written again."""

import json

import tables
from harness.orders import orders, supplies
from harness.scene import Scene
from saga_app import topics
from saga_app.kafka import topic_admin
from saga_app.settings import Settings
from tests.live.commands import invariants, saga


def outcomes(scene: Scene, *words: str) -> dict[str, dict[str, str]]:
    """The outcomes that the command prints, by order."""
    done = saga(scene, "outcomes", "--json", *words)
    assert done.code == 0, done
    return {each["order_id"]: each for each in map(json.loads, done.out.splitlines())}


def test_each_ending_is_told_and_a_topic_that_was_lost_is_written_again(scene: Scene) -> None:
    """A worker dies under load; the outcomes are those of the rows, and `--mend` makes the same ones."""
    worker = scene.worker("w1").start().ready()
    scene.shop.send([*supplies(), *orders(60)])
    scene.endings.wait_for(10, 60)
    worker.kill()
    worker.start().ready()
    scene.endings.wait_for(60, 60)
    scene.log.wait_until_quiet()
    told = outcomes(scene)
    assert told.keys() == scene.endings.ended.keys()
    for order_id, how in scene.endings.ended.items():
        assert told[order_id].get("reason", told[order_id]["state"]) == how
    assert {each["state"] for each in outcomes(scene, "--state", "cancelled").values()} == {"CANCELLED"}
    assert invariants(saga(scene, "audit", "--json"))["I14"]["figures"]["outcomes"] == 60

    settings = Settings(broker=scene.broker, app_id=scene.app_id)
    topic_admin.delete(settings, [topics.ORDER_OUTCOMES])
    topic_admin.ensure(settings, tables.wanted_topics(settings))
    assert invariants(saga(scene, "audit", "--json"))["I14"]["broken"] == 60
    done = saga(scene, "outcomes", "--mend")
    assert done.code == 0 and "60 were written anew, and 0 removed" in done.out, done
    assert {key: value | {"place": ""} for key, value in outcomes(scene).items()} == {
        key: value | {"place": ""} for key, value in told.items()
    }
    assert invariants(saga(scene, "audit", "--json"))["I14"]["holds"]
