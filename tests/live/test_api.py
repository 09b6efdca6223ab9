"""The API beside a real broker and worker: endings from the topic, ids that count once, outages, kill -9 under load."""

import asyncio
import itertools
from collections import Counter
from typing import Any

import aiohttp
import pytest

from harness.orders import expected, orders, supplies
from harness.scene import Scene
from saga_app.client import (
    Client,
    HttpClient,
    KafkaClient,
    OrderEnding,
    OrderOpen,
    RecordRefused,
    Rejected,
    TryAgain,
)
from saga_app.local.broker import Broker
from saga_app.settings import Settings
from tests.live.api_process import ApiProcess, OwnProcess, ask, operators

pytestmark = pytest.mark.slow("a broker, a worker, an API and a copy")


def test_who_waits_hears_the_ending_from_the_topic_and_twice_counts_once(scene: Scene):
    """Nobody copies to the order database here: the endings can come from the topic only."""
    scene.worker("w1").start().ready()
    scene.shop.send(supplies())

    async def run(api: ApiProcess) -> None:
        async with aiohttp.ClientSession() as session:
            await api.ready(session)
            url = f"{api.url}/v1/orders"
            sent = list(orders(40))
            answers = await asyncio.gather(
                *(ask(session, "POST", url, each, Prefer="wait=60") for each in sent)
            )
            for number, answer in enumerate(answers):
                told = answer.json.get("reason") or answer.json.get("status")
                assert (answer.status, told) == (200, expected(number)), answer
            again = await ask(session, "POST", url, sent[0], Prefer="wait=60")
            assert (again.status, again.json) == (200, answers[0].json)
            other = await ask(session, "POST", url, {**sent[0], "country": "FR"}, Prefer="wait=60")
            assert (other.status, other.json["code"]) == (409, "different_content")
            # Another process knows nothing of it, and nothing is copied: the dead letter says so.
            async with aiohttp.ClientSession() as second:
                with ApiProcess(scene) as fresh:
                    await fresh.ready(second)
                    other = await ask(
                        second,
                        "POST",
                        f"{fresh.url}/v1/orders",
                        {**sent[0], "country": "FR"},
                        Prefer="wait=60",
                    )
                    assert (other.status, other.json["code"]) == (409, "different_content")
                    rules = await ask(second, "GET", f"{fresh.url}/v1/policies")
                    assert {each["service"] for each in rules.json["policies"]} == {
                        "checkout",
                        "payment",
                        "shipping",
                    }

    with ApiProcess(scene) as api:
        asyncio.run(run(api))
        assert api.end() == 0
    lines = operators(scene)
    assert {line["actor"] for line in lines} == {"api 127.0.0.1"} and len(lines) == 42
    scene.endings.wait_for(40, 30)
    scene.prove(dead_letters=1)


def test_an_order_that_ended_before_the_api_began_is_answered_from_the_copy_or_the_topic(scene: Scene):
    scene.worker("w1").start().ready()

    async def run() -> None:
        async with aiohttp.ClientSession() as session:
            for copied in ("copied-1", "copied-2"):
                scene.shop.send([{"order_id": copied, "amount": "5.00"}])
            scene.endings.wait_for(2, 30)
            with OwnProcess(scene, "orderdb", "run"), ApiProcess(scene) as api:
                await api.ready(session)
                while not (await ask(session, "GET", f"{api.url}/v1/orders?state=COMPLETED")).json.get(
                    "orders"
                ):
                    await asyncio.sleep(0.1)
            # Nobody copies any more, so this one is behind the copy when the next API begins.
            scene.shop.send([{"order_id": "not-copied", "amount": "5.00"}])
            scene.endings.wait_for(3, 30)
            with ApiProcess(scene) as api:
                await api.ready(session)
                for order_id in ("copied-1", "not-copied"):
                    found = await ask(session, "GET", f"{api.url}/v1/orders/{order_id}?wait=20")
                    assert (found.status, found.json["status"]) == (200, "COMPLETED"), order_id
                    body = {"order_id": order_id, "amount": "5"}
                    placed = await ask(session, "POST", f"{api.url}/v1/orders", body, Prefer="wait=20")
                    assert placed.status == 200, placed

    asyncio.run(run())


def test_while_the_broker_is_down_every_order_is_a_503_and_afterwards_the_same_api_goes_on(
    scene: Scene, no_topics: Broker
):
    scene.worker("w1").start().ready()

    async def run(api: ApiProcess) -> None:
        async with aiohttp.ClientSession() as session:
            await api.ready(session)
            url = f"{api.url}/v1/orders"
            assert (
                await ask(session, "POST", url, {"order_id": 1, "amount": 5}, Prefer="wait=30")
            ).status == 200
            no_topics.kill()
            try:
                bodies = [{"order_id": number, "amount": 5} for number in range(2, 12)]
                answers = await asyncio.gather(*(ask(session, "POST", url, each) for each in bodies))
                assert {each.status for each in answers} == {503}
                assert all(int(each.headers["Retry-After"]) > 0 for each in answers)
                # A reading of before the kill counts for some seconds.
                for _ in range(60):
                    readiness = await ask(session, "GET", f"{api.url}/readyz")
                    if readiness.status == 503:
                        break
                    await asyncio.sleep(0.5)
                assert readiness.status == 503
                assert (await ask(session, "GET", f"{api.url}/livez")).status == 200
            finally:
                # Beside the loop: it must see that the API has closed connections that were idle meanwhile.
                await asyncio.to_thread(no_topics.start().wait)
            await asyncio.to_thread(scene.worker("w2").start().ready)
            for number in range(2, 12):
                body = {"order_id": number, "amount": 5}
                for _ in range(60):
                    answer = await ask(session, "POST", url, body, Prefer="wait=30")
                    if answer.status == 200:
                        break
                    await asyncio.sleep(0.5)
                assert answer.status == 200, answer

    with ApiProcess(scene) as api:
        asyncio.run(run(api))


def test_kill_9_under_load_loses_no_accepted_order_and_no_order_counts_twice(scene: Scene):
    scene.worker("w1").start().ready()
    scene.shop.send(supplies())
    accepted: set[str] = set()
    unanswered: Counter[str] = Counter()

    async def run(api: ApiProcess) -> None:
        queue = iter(list(orders(600, prefix="k")))
        lock = asyncio.Lock()

        async def caller(session: aiohttp.ClientSession, waits: bool) -> None:
            for order in queue:
                headers = {"Prefer": "wait=30"} if waits else {}
                # As a shop does: the same again until there is an answer.
                for _ in itertools.repeat(None, 200):
                    try:
                        answer = await ask(session, "POST", f"{api.url}/v1/orders", order, **headers)
                    except aiohttp.ClientError:
                        unanswered[order["order_id"]] += 1
                        await asyncio.sleep(0.1)
                        continue
                    if answer.status in (200, 202):
                        async with lock:
                            accepted.add(order["order_id"])
                        break
                    assert answer.status == 503, answer
                    await asyncio.sleep(0.1)

        async def killer() -> None:
            for share in (100, 250, 400):
                while len(accepted) < share:
                    await asyncio.sleep(0.01)
                api.kill()
                api.start()

        async with aiohttp.ClientSession() as session:
            await api.ready(session)
            await asyncio.gather(killer(), *(caller(session, waits=number % 2 == 0) for number in range(16)))

    with ApiProcess(scene) as api:
        asyncio.run(run(api))
    assert len(accepted) == 600 and unanswered, "it was not killed in the middle"
    scene.endings.wait_for(600, 90)
    assert accepted == scene.endings.placed_at.keys()
    scene.prove()


def _place_and_wait(saga: Client, order: dict[str, Any]) -> OrderEnding:
    return saga.wait(saga.place(order), 30)


def test_both_clients_place_cancel_and_wait(scene: Scene):
    scene.worker("w1").start().ready()
    scene.shop.send(supplies())
    settings = Settings(broker=scene.broker, app_id=scene.app_id)
    with OwnProcess(scene, "orderdb", "run"), ApiProcess(scene) as api:

        async def wait() -> None:
            async with aiohttp.ClientSession() as session:
                await api.ready(session)
                # It also says why the order database cannot be read.
                while (await ask(session, "GET", f"{api.url}/readyz")).json["why"]:
                    await asyncio.sleep(0.1)

        asyncio.run(wait())
        for name, client in (("k", KafkaClient(settings)), ("h", HttpClient(api.url))):
            with Client(client) as saga:
                for number, order in enumerate(orders(31, prefix=name)):
                    assert saga.place(order) == f"{name}-{number}"
                for number in (1, 10, 20, 30):
                    ending = saga.wait(f"{name}-{number}", 60)
                    assert (ending.reason or ending.status) == expected(number)
                    assert ending.is_completed is (expected(number) == "COMPLETED")
                saga.cancel(f"{name}-2", "a test")
                with pytest.raises(Rejected):
                    saga.place({"order_id": "-", "amount": 1})
                with pytest.raises(RecordRefused):
                    _place_and_wait(saga, {"order_id": f"{name}-3", "amount": 1})
                with pytest.raises(OrderOpen):
                    saga.wait("nobody", 0.5)
    with pytest.raises(TryAgain), Client(HttpClient(api.url)) as saga:
        saga.place({"order_id": 1, "amount": 1})
