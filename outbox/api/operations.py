"""Bulk operations: preview, start, watch, stop. Every act is one of ``outbox.bulk.operations``."""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from ninja import Header, Path, Query, Router, Schema
from pydantic import Field

from outbox.api.answers import OperationOut, OperationPage, columns
from outbox.api.door import Token, by, holder_of, require
from outbox.api.once import once
from outbox.api.problems import not_found
from outbox.api.values import (
    Act,
    Failed,
    FailedAgain,
    Id,
    IdempotencyKey,
    Ids,
    Keys,
    NarrowedSet,
    OfGroup,
    Prepare,
    Start,
    Undo,
)
from outbox.bulk import operations, progress, selection
from outbox.bulk.selection import Selection
from outbox.models import BulkOperation, HandledAs
from outbox.models.bulk import BulkVerb
from outbox.models.row_ids import BIGGEST_ID
from outbox.operate.actions import PERMISSIONS, Action

router = Router(tags=["operations"])

PER_PAGE = 50
REPLAYED = "Idempotent-Replayed"
"""The header of an answer that was kept."""
RUN = PERMISSIONS[Action.BULK_START]
PLAIN = (
    *("id", "verb", "state", "revision", "created_by", "started_by", "approved_by", "reason"),
    *("created_at", "started_at", "ended_at", "total", "left_out"),
    *("succeeded", "failed_again", "not_ready", "overtaken", "rate", "stop_percent"),
)
OperationId = Annotated[Id, Path(description="The operation's id.")]
CallKey = Annotated[
    IdempotencyKey,
    Header(
        alias="Idempotency-Key",
        description="Your own name for this call, kept for a day: repeated under the same, it is not done twice.",
    ),
]


class Narrowed(Schema):
    """Which operations are listed."""

    after: int = Field(0, ge=0, le=BIGGEST_ID, description="`next` of the page before; 0: from the newest on.")


@router.get(
    "/operations",
    auth=Token("outbox.view_bulkoperation", query=tuple(Narrowed.model_fields)),
    response=OperationPage,
    summary="List bulk operations",
)
def list_operations(request: HttpRequest, narrowed: Query[Narrowed]) -> dict[str, Any]:
    """Return 50 operations, previews among them, the newest first."""
    everything = BulkOperation.objects.order_by("-pk")
    found = list((everything.filter(pk__lt=narrowed.after) if narrowed.after else everything)[: PER_PAGE + 1])
    shown = found[:PER_PAGE]
    return {
        "operations": list(map(_as_json, shown)),
        "next": shown[-1].pk if len(found) > PER_PAGE else None,
    }


@router.post(
    "/operations",
    auth=Token(RUN),
    response={201: OperationOut},
    summary="Preview a bulk operation",
    openapi_extra={"responses": {201: {"description": "The set is frozen and counted; nothing is done yet."}}},
)
def prepare_operation(request: HttpRequest, body: Prepare, key: CallKey) -> Any:
    """Freeze a set of messages and count it. Nothing is done before it is started; a preview lives for a day."""
    verb = BulkVerb(body.verb)
    require(holder_of(request), PERMISSIONS[Action(verb)])

    def prepare() -> dict[str, Any]:
        chosen = _select(body.set)
        return _as_json(operations.prepare(verb, chosen, **by(request)))

    return _once(request, key, ["prepare", body.model_dump()], prepare, status=201)


@router.get(
    "/operations/{id}",
    auth=Token("outbox.view_bulkoperation"),
    response=OperationOut,
    summary="Watch a bulk operation",
)
def show_operation(request: HttpRequest, id: OperationId) -> dict[str, Any]:
    """Return an operation and how far it has come."""
    return _as_json(_find(id))


@router.post("/operations/{id}/start", auth=Token(RUN), response=OperationOut, summary="Start a bulk operation")
def start_operation(request: HttpRequest, id: OperationId, body: Start, key: CallKey) -> Any:
    """Let workers begin. A discard, or what is above the limits of the settings, waits for a second person."""
    operation = _find(id)
    require(holder_of(request), PERMISSIONS[Action(operation.verb)])
    options = body.model_dump()
    outcome = options.pop("outcome")

    def start() -> dict[str, Any]:
        how = HandledAs(outcome) if outcome else None
        started = operations.start(id, outcome=how, **by(request), **options)
        return _as_json(started)

    return _once(request, key, ["start", id, body.model_dump()], start)


@router.post("/operations/{id}/pause", auth=Token(RUN), response=OperationOut, summary="Pause a bulk operation")
def pause_operation(request: HttpRequest, id: OperationId, body: Act) -> dict[str, Any]:
    """Do nothing more to any message until it is resumed."""
    return _act(operations.pause, request, id, body)


@router.post("/operations/{id}/resume", auth=Token(RUN), response=OperationOut, summary="Resume a bulk operation")
def resume_operation(request: HttpRequest, id: OperationId, body: Act) -> dict[str, Any]:
    """Let an operation go on that was paused, or that has stopped itself."""
    return _act(operations.resume, request, id, body)


@router.post("/operations/{id}/cancel", auth=Token(RUN), response=OperationOut, summary="Cancel a bulk operation")
def cancel_operation(request: HttpRequest, id: OperationId, body: Act) -> dict[str, Any]:
    """End an operation: what has not had its turn stays as it is."""
    return _act(operations.cancel, request, id, body)


def _act(act: Callable[..., BulkOperation], request: HttpRequest, id: int, body: Act) -> dict[str, Any]:
    _find(id)
    return _as_json(act(id, revision=body.revision, reason=body.reason, **by(request)))


def _once(
    request: HttpRequest, key: str, call: list[Any], act: Callable[[], dict[str, Any]], *, status: int = 200
) -> HttpResponse:
    """Answer as ``act`` does, or as it did before."""
    answer, was_kept = once(holder_of(request).token, key, call=call, act=act)
    return JsonResponse(answer, status=status, headers={REPLAYED: "true"} if was_kept else {})


def _select(given: Failed | OfGroup | Ids | Keys | FailedAgain | Undo) -> Selection:
    match given:
        case Failed():
            return selection.failed(consumer=given.consumer, **_narrowing(given))
        case OfGroup():
            return selection.of_group(given.group, **_narrowing(given))
        case Ids():
            return selection.listed_ids(list(map(str, given.ids)))
        case Keys():
            return selection.listed_keys(given.keys)
        case FailedAgain():
            return selection.failed_again(_find(given.operation))
        case Undo():
            return selection.to_undo(_find(given.operation))


def _narrowing(given: NarrowedSet) -> dict[str, Any]:
    since = None if given.since_minutes is None else timedelta(minutes=given.since_minutes)
    return {"since": since, "owner": given.owner, "error": given.error}


def _find(id: int) -> BulkOperation:
    operation = BulkOperation.objects.filter(pk=id).first()
    if operation is None:
        raise not_found()
    return operation


def _as_json(operation: BulkOperation) -> dict[str, Any]:
    return {
        **columns(operation, PLAIN),
        "canary": operation.canary_size,
        "set": selection.describe(operation.source),
        "waits_for": progress.waits_for(operation),
        "preview": operation.preview,
        "progress": progress.measure(operation, now=timezone.now()).as_json(),
    }
