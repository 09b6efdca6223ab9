"""The topic `order_outcomes`: an outcome as a CloudEvent, its schema, and what readers make of a record."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from saga_app import topics
from saga_app.core.numbers import version_at
from saga_app.core.outcome import OutcomePut
from saga_app.core.records import Reason, StepName
from saga_app.kafka.order_outcomes import OrderOutcomeReader, heard, outcome_record
from tests.orderdb.batches import FakeMessage
from tests.support.examples import cancelled, completed, placed
from tests.support.given import BEGINNING, CHECKOUT, given
from tests.support.signing import signatures

SCHEMA = Path(__file__).parents[2] / "docs/reference/schemas/OrderOutcome.json"


def put(**fields: Any) -> OutcomePut:
    """The outcome of an order that completed."""
    story = given(CHECKOUT, placed(**fields), completed())
    assert story.decision is not None
    return story.decision.outcomes[0]


def test_an_outcome_fits_its_schema_and_is_read_again() -> None:
    story = given(CHECKOUT, placed(), cancelled("o1", Reason.OVER_LIMIT, StepName.PAYMENT))
    assert story.decision is not None
    for each in (put(customer_id="c1"), story.decision.outcomes[0]):
        record = outcome_record(each)
        jsonschema.validate(json.loads(record.value or b""), json.loads(SCHEMA.read_text("utf-8")))
        found = heard(record.key, record.value, record.headers)
        assert found is not None and found.outcome.model_dump_json(exclude_none=True).encode() == record.value
        assert dict(record.headers)["ce_id"] == found.id.encode()


def test_an_outcome_has_no_lines_and_no_token_of_a_payment() -> None:
    told = outcome_record(put(payment_method="stripe:pm_secret", lines=[{"sku": "mug", "quantity": 1}])).value
    assert told is not None and b"pm_secret" not in told and b"mug" not in told


def test_readers_ignore_fields_that_they_do_not_know() -> None:
    record = outcome_record(put())
    value = (record.value or b"")[:-1] + b',"new":{"of":"a later release"}}'
    assert heard(record.key, value, record.headers) is not None


def test_a_removal_names_the_version_in_a_header() -> None:
    removal = outcome_record(put()._replace(version=version_at(7), row=None))
    found = heard(removal.key, removal.value, removal.headers)
    assert found is not None and (found.version, found.value) == (7, None)


@pytest.mark.parametrize(
    ("key", "value"),
    [(b"o1", b"{}"), (b"o1", b"\xff"), (b"\xff", None), (b"o1", None), (None, b"null")],
)
def test_what_nobody_of_ours_wrote_is_no_outcome(key: bytes | None, value: bytes | None) -> None:
    assert heard(key, value, ()) is None


def test_an_outcome_under_another_key_is_none() -> None:
    record = outcome_record(put())
    assert heard(b"o2", record.value, record.headers) is None


def test_a_reader_with_keys_believes_signed_records_alone(tmp_path: Path) -> None:
    ours, record = signatures(tmp_path), outcome_record(put())
    for headers, is_heard in (
        (ours.signed(record, 3), True),
        (ours.signed(record, 4), False),
        (record.headers, False),
    ):
        message: Any = FakeMessage(topics.ORDER_OUTCOMES, 5, record.value, b"o1", BEGINNING, headers)
        assert (OrderOutcomeReader(ours).read(message) is not None) is is_heard
