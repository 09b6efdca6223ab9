"""The OpenAPI document of the HTTP provider says what the code reads and writes."""

import json
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from pydantic import ValidationError

from saga_app.core.outside import Action
from saga_app.core.records import StepName
from saga_app.docgen.provider_contract import DOCUMENT
from saga_app.effects import contract, ports
from tests.support.blocks import ROOT
from tests.support.examples import order

FOUND: dict[str, Any] = yaml.safe_load((ROOT / DOCUMENT).read_text("utf-8"))
CALL = ports.Call(
    Action.DO,
    "saga:shipping:o1:17",
    StepName.SHIPPING,
    order(country="GB", lines=[("MUG", 2)]),
    "0:1",
    "r",
    2,
    900,
)


def schema(name: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": FOUND["components"]})


def test_it_is_valid_openapi():
    validate(FOUND)


def test_every_verb_has_its_path():
    assert {f"/{{step}}/{action}" for action in Action} < set(FOUND["paths"])


def test_a_call_is_as_its_schema_says():
    sent = json.loads(contract.HttpCall.about(CALL).model_dump_json(exclude_none=True))
    schema("HttpCall").validate(sent)
    assert sent["order"]["amount"] == "40.00"


@pytest.mark.parametrize(
    "answer",
    [
        {"outcome": "done", "reference": "parcel-1"},
        {
            "outcome": "refused",
            "code": "no_such_place",
            "reason": "undeliverable",
            "detail": "No such place.",
        },
        {"outcome": "pending", "wait": 2.5, "a_new_field": 1},
    ],
)
def test_what_the_schema_says_of_an_answer_is_what_the_code_reads(answer: dict[str, Any]):
    schema("HttpAnswer").validate(answer)
    assert contract.HttpAnswer.model_validate_json(json.dumps(answer)).answer().outcome == answer["outcome"]


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"outcome": "perhaps"},
        {"outcome": "refused", "reference": "a name with spaces"},
        {"outcome": "refused", "reason": "no_reason"},
        {"outcome": "pending", "wait": -1},
    ],
)
def test_what_the_schema_refuses_the_code_refuses(answer: dict[str, Any]):
    assert not schema("HttpAnswer").is_valid(answer)
    with pytest.raises(ValidationError):
        contract.HttpAnswer.model_validate_json(json.dumps(answer))
