"""The comparison's orders and the endings that it expects agree with the rules of this project."""

from collections import Counter

from bench import load
from bench.peers.rules import SERVICES, Record, Row, key_of, topic_of
from saga_app.demo import retail


class PeerTables:
    """The tables of every partition in one."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Row] = {}

    def get(self, table: str, key: str) -> Row | None:
        return self.rows.get((table, key))

    def put(self, table: str, key: str, row: Row) -> None:
        self.rows[table, key] = row


def decider(messages: list[tuple[str, Record]]) -> tuple[PeerTables, dict[str, str], Counter[str]]:
    """Applies the peers' rules to these records in turn. Returns the tables, the endings, and records sent by type."""
    store, endings, sent = PeerTables(), dict[str, str](), Counter[str]()
    while messages:
        topic, record = messages.pop(0)
        if record["type"] in ("OrderCompleted", "OrderCancelled"):
            endings[record["order_id"]] = record.get("reason", "COMPLETED")
        for each in SERVICES[topic](record, store):
            sent[each["type"]] += 1
            messages.append((topic_of(each), each))
    return store, endings, sent


def parsed(messages: list[load.LoadRecord]) -> list[tuple[str, Record]]:
    from pydantic_core import from_json

    return [(each.topic, from_json(each.value)) for each in messages]


def test_peers_end_the_mix_as_ours_must_and_undo_what_they_did() -> None:
    orders = load.mix(300, "x")
    store, endings, sent = decider(parsed([*load.supplies(), *orders.messages]))
    assert endings == orders.expected
    needed = sum(load.COMPENSATIONS.get(each, 0) for each in endings.values())
    assert sent["RefundRequested"] + sent["ReleaseRequested"] == needed == 30
    held = Counter[str]()
    for (table, _), row in store.rows.items():
        if table == "reservations" and row["state"] == "DONE":
            held.update({key: -moved for key, moved in row["moves"].items()})
    for (table, key), row in store.rows.items():
        if table == "stock":
            assert row["came"] == row["left"] + held[key]


def test_peers_end_real_baskets_as_the_demo_says() -> None:
    deliveries, orders = load.baskets(400)
    _, endings, _ = decider(parsed([*deliveries, *orders.messages]))
    assert endings == orders.expected
    assert set(endings.values()) == {"COMPLETED", "over_limit", "out_of_stock", "undeliverable"}


def test_many_real_orders_find_their_articles_one_after_the_other() -> None:
    placed, sent, expected = list(retail.orders(500)), list[load.LoadRecord](), dict[str, str]()
    for at in (0, 200):
        deliveries, orders = load.plentiful(placed[at : at + 200 + at])
        sent += [*deliveries, *orders.messages]
        expected |= orders.expected
    _, endings, _ = decider(parsed(sent))
    assert endings == expected
    assert len(endings) == 500
    assert set(endings.values()) == {"COMPLETED", "over_limit", "undeliverable"}


def test_a_request_that_is_known_is_answered_again_and_moves_nothing() -> None:
    orders = load.mix(30, "x")
    once, _, _ = decider(parsed([*load.supplies(), *orders.messages]))
    twice, endings, _ = decider(parsed([*load.supplies(), *orders.messages, *orders.messages]))
    assert twice.rows == once.rows and endings == orders.expected


def test_peers_use_the_keys_of_ours() -> None:
    from saga_app import topics, wire

    for message in load.mix(60, "x").messages:
        placed = wire.decode(message.value)
        (asked,) = SERVICES[topics.CHECKOUT](parsed([message])[0][1], PeerTables())
        key = topics.key_in(topics.PAYMENT, placed.order)  # type: ignore[union-attr]
        assert (topic_of(asked), key_of(asked)) == (topics.PAYMENT, key)


def test_nine_of_ten_orders_of_a_flash_sale_want_one_article_and_end_like_the_mix() -> None:
    sale = load.flash_sale(600, "flash")
    lines = [[line["sku"] for line in record["lines"]] for _, record in parsed(list(sale.messages))]
    assert sum(skus[0] == "SKU-0000" and len(skus) <= 2 for skus in lines) >= 540
    assert sale.expected == load.mix(600, "flash").expected
    _, endings, _ = decider(parsed([*load.supplies(), *sale.messages]))
    assert endings == sale.expected
