"""OpenAPI from the models of the wire and of the answers."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from saga_app import __version__
from saga_app.api.models import Cancellation, Dismissal, Replay
from saga_app.api.problems import ProblemDetails
from saga_app.core.records import (
    FundsDeposited,
    FundsWithdrawn,
    OrderPlaced,
    PolicyChanged,
    StockAdjusted,
    StockReceived,
)

_REF: Final = "#/components/schemas/{model}"
#: Bodies, with the field that follows from the Idempotency-Key if it is missing.
_BODIES: Final[dict[type[BaseModel], str | None]] = {
    OrderPlaced: "order_id",
    FundsDeposited: "deposit_id",
    FundsWithdrawn: "withdrawal_id",
    StockReceived: "delivery_id",
    StockAdjusted: "adjustment_id",
    PolicyChanged: "policy_id",
    Cancellation: None,
    Dismissal: None,
    Replay: None,
}
_ABOUT: Final = (
    "Every order ends completed or fully undone, and its id makes twice once: send the same request again whenever you "
    "do not know what came of it.\n\n"
    "Errors are problem details (RFC 9457) with a `code` for programs and every wrong field. A 503 has `Retry-After`."
)


def body_of(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """The body of a route: FastAPI does not read it, so it does not know."""
    schema = {"$ref": _REF.format(model=model.__name__)}
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


def openapi(app: FastAPI) -> dict[str, Any]:
    """The document."""
    if app.openapi_schema is None:
        made = get_openapi(
            title="checkout-saga",
            version=__version__,
            description=_ABOUT,
            routes=app.routes,
            separate_input_output_schemas=False,
        )
        schemas = made["components"]["schemas"]
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        schemas.update(_ours())
        app.openapi_schema = made
    return app.openapi_schema


def _ours() -> dict[str, Any]:
    models = [(model, "validation") for model in (*_BODIES, ProblemDetails)]
    found: dict[str, Any] = models_json_schema(models, ref_template=_REF)[1]["$defs"]  # type: ignore[arg-type]
    for model, id_field in _BODIES.items():
        schema = found[model.__name__]
        if id_field is not None:
            schema["required"] = [name for name in schema.get("required", ()) if name != id_field]
    return found
