"""Routes of what is not an order: money and stock that come in, and the rules."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Request, Security
from fastapi.responses import JSONResponse

from saga_app.api.access import Caller
from saga_app.api.bodies import read_record
from saga_app.api.models import AcceptedRecord, InForce, RulesInForce, dump
from saga_app.api.orders import IdempotencyKey
from saga_app.api.parts import Parts
from saga_app.api.problems import responses
from saga_app.api.schemas import body_of
from saga_app.core.records import (
    FundsDeposited,
    FundsWithdrawn,
    PolicyChanged,
    StockAdjusted,
    StockReceived,
)
from saga_app.health import rules
from saga_app.tokens import TokenScope

Supplied = FundsDeposited | FundsWithdrawn | StockReceived | StockAdjusted
DEPOSITS: Final = "/v1/deposits"
WITHDRAWALS: Final = "/v1/withdrawals"
DELIVERIES: Final = "/v1/deliveries"
ADJUSTMENTS: Final = "/v1/adjustments"
POLICIES: Final = "/v1/policies"


def router(parts: Parts) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["supply and rules"])
    operate_scope = Security(parts.rules.caller, scopes=[TokenScope.OPERATE])
    read_scope = Security(parts.rules.caller, scopes=[TokenScope.READ])

    @routes.post(
        DEPOSITS,
        status_code=HTTPStatus.ACCEPTED,
        response_model=AcceptedRecord,
        responses=responses(408, 413, 415),
        openapi_extra=body_of(FundsDeposited),
    )
    async def deposit(
        request: Request, by: Annotated[Caller, operate_scope], idempotency_key: IdempotencyKey = None
    ) -> JSONResponse:
        """Put money into a customer's account; for one customer, the same id twice counts once."""
        record = await read_record(request, FundsDeposited, by, "deposit_id")
        return await _send(parts, record, record.deposit_id, by)

    @routes.post(
        WITHDRAWALS,
        status_code=HTTPStatus.ACCEPTED,
        response_model=AcceptedRecord,
        responses=responses(408, 413, 415),
        openapi_extra=body_of(FundsWithdrawn),
    )
    async def withdraw(
        request: Request, by: Annotated[Caller, operate_scope], idempotency_key: IdempotencyKey = None
    ) -> JSONResponse:
        """Take money out of a customer's account; it is refused if less is there, and the statement says so."""
        record = await read_record(request, FundsWithdrawn, by, "withdrawal_id")
        return await _send(parts, record, record.withdrawal_id, by)

    @routes.post(
        ADJUSTMENTS,
        status_code=HTTPStatus.ACCEPTED,
        response_model=AcceptedRecord,
        responses=responses(408, 413, 415),
        openapi_extra=body_of(StockAdjusted),
    )
    async def adjust(
        request: Request, by: Annotated[Caller, operate_scope], idempotency_key: IdempotencyKey = None
    ) -> JSONResponse:
        """Correct the stock of a warehouse by a difference; it is refused if more is taken than is available."""
        record = await read_record(request, StockAdjusted, by, "adjustment_id")
        return await _send(parts, record, record.adjustment_id, by)

    @routes.post(
        DELIVERIES,
        status_code=HTTPStatus.ACCEPTED,
        response_model=AcceptedRecord,
        responses=responses(408, 413, 415),
        openapi_extra=body_of(StockReceived),
    )
    async def receive(
        request: Request, by: Annotated[Caller, operate_scope], idempotency_key: IdempotencyKey = None
    ) -> JSONResponse:
        """Receive stock into a warehouse; for one warehouse, the same id twice counts once."""
        record = await read_record(request, StockReceived, by, "delivery_id")
        return await _send(parts, record, record.delivery_id, by)

    @routes.post(
        POLICIES,
        status_code=HTTPStatus.ACCEPTED,
        response_model=AcceptedRecord,
        responses=responses(408, 413, 415),
        openapi_extra=body_of(PolicyChanged),
    )
    async def change_policy(
        request: Request, by: Annotated[Caller, operate_scope], idempotency_key: IdempotencyKey = None
    ) -> JSONResponse:
        """Change the parameters of a rule, for all orders that are decided from now on."""
        record = await read_record(request, PolicyChanged, by, "policy_id")
        return await _send(parts, record, record.policy_id, by)

    @routes.get(POLICIES, response_model=RulesInForce, responses=responses())
    async def policies_in_force(by: Annotated[Caller, read_scope]) -> RulesInForce:
        """Tell the rules in force; it reads the changelogs, so it may take a second."""
        found = await parts.kafka(rules.in_force, parts.settings)
        told = [
            InForce.model_validate({**rule._asdict(), "partitions": partitions})
            for of_service in found.values()
            for rule, partitions in of_service.items()
        ]
        return RulesInForce(policies=told)

    return routes


async def _send(parts: Parts, record: Supplied | PolicyChanged, own_id: str, by: Caller) -> JSONResponse:
    await parts.publisher.send(record, actor=by.actor)
    return JSONResponse(dump(AcceptedRecord(id=own_id)), HTTPStatus.ACCEPTED)
