"""Routes of orders: place, ask, list, cancel."""

from http import HTTPStatus
from typing import Annotated, Final, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Header, Path, Query, Request, Security
from fastapi.responses import JSONResponse

from saga_app.api.access import Caller
from saga_app.api.bodies import IDEMPOTENCY_KEY, read_fields, read_record
from saga_app.api.models import (
    AcceptedOrder,
    ApiAnswer,
    Cancellation,
    EndedOrder,
    ListedOrder,
    OrderDocument,
    OrderPage,
    dump,
)
from saga_app.api.parts import Parts
from saga_app.api.problems import Problem, ProblemField, later, responses
from saga_app.api.schemas import body_of
from saga_app.api.waits import LONGEST_WAIT, preferred_wait
from saga_app.client.results import OrderEnding
from saga_app.core.fields import ID
from saga_app.core.labels import PLACED, STATES
from saga_app.core.records import CancellationRequested, OrderPlaced
from saga_app.core.route import STEPS
from saga_app.core.rows import Status
from saga_app.kafka.messages import Header as RecordHeader
from saga_app.kafka.sender import checked
from saga_app.orderdb import queries
from saga_app.orderdb.present import order_json
from saga_app.orderdb.queries.order import OrderDetails, find
from saga_app.orderdb.queries.orders import Listed, OrderFilter
from saga_app.orderdb.traces.traceparent import Parent
from saga_app.times import moment, now, written
from saga_app.tokens import TokenScope
from saga_app.urls import segment

ORDERS: Final = "/v1/orders"
ORDER: Final = ORDERS + "/{order_id}"
#: Orders of a page, by default and at most.
PAGE: Final = 50
LARGEST_PAGE: Final = 500
OrderId = Annotated[str, Path(pattern=f"^{ID}$", max_length=64)]
Prefer = Annotated[
    str | None,
    Header(
        alias="Prefer", description=f"`wait=10` waits for the ending, for at most {LONGEST_WAIT} seconds."
    ),
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias=IDEMPOTENCY_KEY,
        description="Where no id is chosen: the same key gives the same id. It belongs to the token.",
    ),
]


def router(parts: Parts) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["orders"])
    order_scope = Security(parts.rules.caller, scopes=[TokenScope.ORDER])
    read_scope = Security(parts.rules.caller, scopes=[TokenScope.READ])

    @routes.post(
        ORDERS,
        status_code=HTTPStatus.ACCEPTED,
        response_model=AcceptedOrder,
        responses={200: {"model": EndedOrder}, **responses(404, 408, 409, 413, 415)},
        openapi_extra=body_of(OrderPlaced),
    )
    async def place_order(
        request: Request,
        by: Annotated[Caller, order_scope],
        prefer: Prefer = None,
        idempotency_key: IdempotencyKey = None,
    ) -> JSONResponse:
        """Place an order. 202: the broker has it. 200: it has ended, within the seconds of `Prefer: wait`.

        The same content again gives the same answer; other content under a known id is a 409.
        """
        record = await read_record(request, OrderPlaced, by, "order_id")
        wait = preferred_wait(request.headers.getlist("Prefer")) if parts.desk.can_wait else 0
        ending = await parts.desk.place(record, by.actor, wait, _trace(request))
        return _outcome(record.order_id, ending, wait)

    @routes.get(ORDERS, response_model=OrderPage, responses=responses(404))
    async def list_orders(
        by: Annotated[Caller, read_scope],
        state: Annotated[list[Literal[STATES]], Query()] = [],  # type: ignore[valid-type]  # noqa: B006
        since: Annotated[str, Query(description="A time, or 30m, 12h, 7d ago.", max_length=40)] = "",
        q: Annotated[
            str, Query(description="The beginning of an order's, a customer's or an article's id.")
        ] = "",
        late: Annotated[
            bool, Query(description="Those that have not ended before their first deadline.")
        ] = False,
        before: Annotated[str, Query(description="The last order of the page before.", max_length=64)] = "",
        limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = PAGE,
    ) -> OrderPage:
        """List orders, newest first, from the order database."""
        given = {"state": state, "since": since, "q": q, "late": "true" if late else "", "limit": limit}
        choice = _choice(state, since, q, late=late)
        try:
            found = await parts.database.query(
                lambda each: queries.orders.page(each, choice, limit + 1, before or None)
            )
        except LookupError:
            raise Problem(
                HTTPStatus.NOT_FOUND, "not_found", f"there is no order {before!r} to go on after"
            ) from None
        following = None
        if len(found) > limit:
            asked = {name: value for name, value in given.items() if value}
            following = f"{ORDERS}?{urlencode({**asked, 'before': found[limit - 1]['order_id']}, doseq=True)}"
        return OrderPage(orders=[_listed(each) for each in found[:limit]], next=following)

    @routes.get(ORDER, response_model=OrderDocument, responses=responses(404))
    async def get_order(
        order_id: OrderId,
        by: Annotated[Caller, read_scope],
        wait: Annotated[
            float,
            Query(ge=0, description=f"Seconds to wait for the ending; at most {LONGEST_WAIT} are waited."),
        ] = 0,
    ) -> JSONResponse:
        """Tell where an order is and why, what happens next, and what has happened."""
        return JSONResponse(dump(await _document(parts, order_id, min(wait, LONGEST_WAIT))))

    @routes.post(
        ORDER + "/cancel",
        status_code=HTTPStatus.ACCEPTED,
        response_model=AcceptedOrder,
        responses={200: {"model": EndedOrder}, **responses(408, 409, 413, 415)},
        openapi_extra=body_of(Cancellation, required=False),
    )
    async def cancel_order(
        request: Request,
        order_id: OrderId,
        by: Annotated[Caller, order_scope],
        prefer: Prefer = None,
    ) -> JSONResponse:
        """Ask for a cancellation. 202: the broker has the request. 200: the order is cancelled.

        It may be too late: an order whose shipment is booked ends completed. A 409 says so as soon as it is known.
        An order that is not here yet is cancelled when it comes.
        """
        note = (await read_fields(request, Cancellation)).note
        record = checked({"type": "CancellationRequested", "order_id": order_id, "note": note})
        assert isinstance(record, CancellationRequested)
        wait = preferred_wait(request.headers.getlist("Prefer")) if parts.desk.can_wait else 0
        ending = await parts.desk.cancel(record, by.actor, wait)
        if ending is not None and ending.is_completed:
            raise Problem(HTTPStatus.CONFLICT, "too_late", f"too late: order {order_id} is completed")
        return _outcome(order_id, ending, wait)

    return routes


def _outcome(order_id: str, ending: OrderEnding | None, wait: int) -> JSONResponse:
    address = ORDER.format(order_id=segment(order_id))
    headers = {"Location": address, "Cache-Control": "no-store"}
    if wait:
        headers["Preference-Applied"] = f"wait={wait}"
    if ending is not None:
        return JSONResponse(dump(EndedOrder.of(ending)), HTTPStatus.OK, headers)
    accepted: ApiAnswer = AcceptedOrder(order_id=order_id, order=address)
    return JSONResponse(dump(accepted), HTTPStatus.ACCEPTED, headers)


async def _document(parts: Parts, order_id: str, wait: float) -> OrderDocument:
    """The order as it is, or as it is when it ends within so many seconds.

    The wait begins before the order is looked up: an ending is either copied by then, or heard after that.
    """
    if wait and not parts.desk.can_wait:
        fault = parts.outcomes.fault or "too many callers wait"
        raise later("cannot_wait", f"nobody can wait for an ending now: {fault}; ask without `wait`")
    with parts.outcomes.watch(order_id) as watch:
        found = await parts.database.query(lambda each: find(each, order_id))
        if wait and not (found.status is not None and found.status.has_ended):
            outcome = await watch.outcome(wait)
            found = await parts.database.query(lambda each: find(each, order_id))
            if isinstance(outcome, OrderEnding):
                return document(found, outcome)
    if is_unknown(found) and not parts.desk.has_placed(order_id):
        raise Problem(
            HTTPStatus.NOT_FOUND,
            "not_found",
            f"order {order_id} is not in the order database; an order that was just placed may not be there yet",
        )
    return document(found)


def is_unknown(found: OrderDetails) -> bool:
    """True if no record of this order is copied."""
    return found.order is None and not found.events and not found.letters


def document(found: OrderDetails, ending: OrderEnding | None = None) -> OrderDocument:
    """The order as the database has it, with its ending if that was heard before it was copied."""
    told = order_json.as_json(found, now())
    if is_unknown(found) and ending is None:
        told |= {"status": PLACED, "words": "Placed; it is not in the order database yet."}
    if ending is not None and told["status"] not in (Status.COMPLETED, Status.CANCELLED):
        told |= {**ending._asdict(), "ended_at": written(ending.ended_at), "waits_for": None, "next": []}
        told["words"] = "Completed." if ending.is_completed else f"Cancelled: {ending.reason}."
    return OrderDocument.model_validate(told)


def _choice(states: list[str], since: str, q: str, *, late: bool) -> OrderFilter:
    try:
        at = moment(since, now()) if since else None
    except ValueError as error:
        wrong = ProblemField(parameter="since", detail=str(error))
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", f"since: {error}", [wrong]) from None
    choice = OrderFilter(tuple(states), at, q)
    if late:
        of_late = queries.orders.late(now())
        choice = choice._replace(until=of_late.until, statuses=choice.statuses or of_late.statuses)
    return choice


def _listed(row: Listed) -> ListedOrder:
    times = {name: row[name] and written(row[name]) for name in ("placed_at", "ended_at")}
    steps = {step.name: row[step.name] for step in STEPS if row[step.name]}
    return ListedOrder.model_validate({**row, **times, "steps": steps})


def _trace(request: Request) -> list[RecordHeader]:
    """The caller's trace goes on in the order's."""
    text = request.headers.get("traceparent")
    return [("traceparent", text.encode())] if text is not None and Parent.of(text) else []
