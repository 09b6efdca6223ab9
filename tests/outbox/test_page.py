"""docs/how-to/place-orders-from-your-database.md, done as it says."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.log import everything
from harness.postgres import Postgres
from harness.scene import Scene
from saga_app import topics, wire
from saga_app.commands import main
from saga_app.core.records import OrderPlaced
from saga_app.local.process import until
from saga_app.outbox import process
from saga_app.outbox.payloads import sort_out
from saga_app.outbox.table import DEFAULT_TABLE
from tests.outbox.shop import ShopDatabase
from tests.support.blocks import ROOT, blocks
from tests.support.shell import Shell

PAGE = (ROOT / "docs/how-to/place-orders-from-your-database.md").read_text("utf-8")
RELAY, STATUS = blocks("docs/how-to/place-orders-from-your-database.md")
BASH = ("bash", "-euo", "pipefail", "-c")

_numbers = count(1)


def fenced(language: str) -> list[str]:
    """The blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


TABLE, RIGHTS, SELL, CORRECT, DEBEZIUM_TABLE = fenced("sql")
DJANGO, SQLALCHEMY = fenced("python")
(CONNECTOR,) = fenced("json")
ORDERS = "CREATE TABLE orders (id int PRIMARY KEY, customer text, total numeric(12, 2));"
DJANGO_APP = """
from django.db import models, transaction


class Order(models.Model):
    customer = models.TextField()
    total = models.DecimalField(max_digits=12, decimal_places=2)


"""
DJANGO_MAIN = """
import sys
from decimal import Decimal

import django
from django.conf import settings

database = {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}
field = "django.db.models.BigAutoField"
settings.configure(DATABASES={"default": database}, INSTALLED_APPS=["webshop"], DEFAULT_AUTO_FIELD=field)
django.setup()

from django.db import connection, transaction
from webshop.models import Order, place

with connection.schema_editor() as editor:
    editor.create_model(Order)
place("ada", Decimal("25.00"))
try:
    with transaction.atomic():
        place("bob", Decimal("30.00"))
        raise RuntimeError("the customer has closed the window")
except RuntimeError:
    print(Order.objects.count())
"""
SQLALCHEMY_HEAD = """
import sys
from decimal import Decimal

from sqlalchemy import JSON, Column, Table, create_engine, insert
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

engine = create_engine(sys.argv[1])


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer: Mapped[str]
    total: Mapped[Decimal]


Order.__table__.create(engine)

"""


def rights(database: str) -> str:
    """The statements about rights; roles belong to the whole server, so each database of a test has its own."""
    return RIGHTS.replace("saga_relay", f"relay_{database}").replace("shop", f"shop_{database}")


def run(script: str, folder: Path, *words: str) -> str:
    """The output of a Python script."""
    (folder / "main.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "main.py", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def the_order(url: str) -> OrderPlaced:
    """The one record that waits in an outbox."""
    with ShopDatabase(url) as shop:
        rows = shop.with_store(lambda store: store.batch(10))
    found = sort_out(rows)
    assert not found.refused
    (record,) = found.records
    order = wire.decode(record.value)
    assert isinstance(order, OrderPlaced)
    return order


@pytest.fixture
def database(postgres: Postgres) -> str:
    """The name of an empty database."""
    name = f"page_{next(_numbers)}"
    postgres.create(name)
    return name


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    shell.close()


def test_the_page_has_the_statements_that_the_command_prints():
    assert CliRunner().invoke(main, ["outbox", "--ddl"]).stdout == TABLE


def test_the_transaction_in_django_is_an_order_and_its_record(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/shop.db"
    process.create(url, DEFAULT_TABLE)
    (tmp_path / "webshop").mkdir()
    (tmp_path / "webshop/__init__.py").touch()
    (tmp_path / "webshop/models.py").write_text(DJANGO_APP + DJANGO)
    assert run(DJANGO_MAIN, tmp_path, f"{tmp_path}/shop.db") == "1\n"
    order = the_order(url)
    assert (order.order_id, order.customer_id, order.amount) == ("1", "ada", Decimal("25.00"))


def test_the_transaction_in_sqlalchemy_is_an_order_and_its_record(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/shop.db"
    process.create(url, DEFAULT_TABLE)
    run(SQLALCHEMY_HEAD + SQLALCHEMY + '\n\nplace("ada", Decimal("25.00"))\n', tmp_path, url)
    order = the_order(url)
    assert (order.order_id, order.customer_id, order.amount) == ("1", "ada", Decimal("25.00"))


def test_the_page_leads_from_a_transaction_in_sql_to_the_topic(
    scene: Scene, postgres: Postgres, database: str, shell: Shell
):
    for statements in (TABLE, rights(database), ORDERS, SELL):
        postgres.psql(database, statements)
    own = postgres.url(database).replace("saga:not-a-secret@", f"relay_{database}@")
    assert "postgresql://saga_relay:...@db/shop" in RELAY
    relay = RELAY.replace("postgresql://saga_relay:...@db/shop", own).replace(
        "saga outbox", "exec saga outbox"
    )
    settings = {"SAGA_BROKER": scene.broker}
    log = shell.start([*BASH, relay], settings)
    with ShopDatabase(postgres.url(database)) as shop:
        assert until(lambda: not shop.ids(), 60), log.read_text("utf-8")
    (message,) = everything(scene.broker, topics.CHECKOUT, topics.DEFAULT_PARTITIONS)
    assert json.loads(message.value())["customer_id"] == "ada" and message.key() == b"1001"
    told = shell.run([*BASH, STATUS], {**settings, "SAGA_OUTBOX_URL": own})
    assert told.startswith("0 rows wait")
    shell.stop()


def test_the_shop_may_insert_and_a_corrected_row_waits_again(postgres: Postgres, database: str):
    for statements in (TABLE, rights(database)):
        postgres.psql(database, statements)
    row = """INSERT INTO saga_outbox (payload) VALUES ('{"order_id": 1001, "amount": "25.001"}')"""
    postgres.psql(database, f"SET ROLE shop_{database}; {row}")
    postgres.psql(
        database, "UPDATE saga_outbox SET id = 7, refused = 'invalid: GBP has 2 digits after the point'"
    )
    postgres.psql(database, CORRECT)
    assert the_order(postgres.url(database)).amount == Decimal("25.00")


def test_the_table_for_debezium_can_be_made_and_its_router_leaves_topic_key_and_payload_as_they_are(
    postgres: Postgres, database: str
):
    postgres.psql(database, DEBEZIUM_TABLE)
    postgres.psql(database, "INSERT INTO outbox (aggregateid, payload) VALUES ('1001', '{}')")
    config = json.loads(CONNECTOR)["config"]
    assert config["transforms.outbox.route.topic.replacement"] == "${routedByValue}"
    assert {config["key.converter"], config["value.converter"]} == {
        "org.apache.kafka.connect.storage.StringConverter"
    }
    assert "table.expand.json.payload" not in CONNECTOR and "partitioner" not in CONNECTOR
