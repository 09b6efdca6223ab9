"""Schemathesis asks the API what its OpenAPI document allows, and much that it forbids."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    missing_required_header,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from saga_app.api.app import create_app
from saga_app.api.parts import Parts
from saga_app.settings import Settings
from tests.api.door import URL, Door, opened
from tests.web.shop import FilledShop

pytestmark = pytest.mark.slow("some thousands of requests")

#: Not among them: `positive_data_acceptance`, since no schema can say that sums must agree or an order must be there.
CHECKS = [
    content_type_conformance,
    missing_required_header,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
]
#: Streams end with their order or their reader, and replays and rules need a broker: other tests have them.
LEFT_OUT = r"/events$|/v1/policies$|/replay$|/dismiss$"


@pytest.fixture(scope="module")
def asked(shop: FilledShop) -> Iterator[Door]:
    """Nobody waits long for an order that never ends."""
    with pytest.MonkeyPatch.context() as patch, opened(shop.settings) as door:
        patch.setattr("saga_app.api.orders.LONGEST_WAIT", 0.01)
        yield door


def operations() -> list[Any]:
    """Every operation of the document."""
    document = create_app(Parts.of(Settings())).openapi()
    found: Any = schemathesis.openapi.from_dict(document).exclude(path_regex=LEFT_OUT)
    return [each.ok() for each in found.get_all_operations()]


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("operation", operations(), ids=lambda each: each.label)
def test_every_answer_is_one_of_the_document(operation: Any, mode: GenerationMode, asked: Door):
    @settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        request = case.as_transport_kwargs(base_url=URL)
        request.pop("cookies", None)
        case.validate_response(asked.client.request(**request), checks=CHECKS)

    try:
        ask()
    except Unsatisfiable:
        # An operation without parameters has nothing that could be wrong.
        assert mode is GenerationMode.NEGATIVE
