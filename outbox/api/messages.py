"""Messages: the work queue, one message, and what is done to it. Every act is one of ``outbox.operate``."""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, Literal, TypeVar

from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Path, Query, Router, Schema
from pydantic import Field, StringConstraints

from outbox import operate
from outbox.admin.messages import listing
from outbox.admin.messages.tabs import FAILED, FoundGroup, find_group, find_tab, scope_of
from outbox.admin.periods import span_of
from outbox.api.answers import (
    AttemptOut,
    MessageInFull,
    MessageOut,
    MessagePage,
    PayloadOut,
    SearchResult,
    columns,
)
from outbox.api.door import Token, by
from outbox.api.problems import Code, Problem, invalid, not_found
from outbox.api.values import NO_NUL, Act, ConsumerName, Handle, Id, Retry
from outbox.errors import Conflict
from outbox.models import Attempt, Evidence, EvidenceKind, HandledAs, Message
from outbox.models.sql.backlog import without_jit
from outbox.operate.actions import PERMISSIONS, Action
from outbox.operate.suspects import may_have_acted

router = Router(tags=["messages"])

ATTEMPTS_SHOWN = 100
T = TypeVar("T")
Tabs = Literal["failed", "pending", "started", "success", "handled", "discarded", "overdue", "withdrawn", "all"]
Periods = Literal["", "1h", "12h", "24h", "7d"]
MessageId = Annotated[Id, Path(description="The message's id, as the desk shows it.")]


class Narrowed(Schema):
    """What the work queue is narrowed down to, as at the desk."""

    tab: Tabs = Field("failed", description="The view of the queue; `failed`: what waits for a person.")
    consumer: ConsumerName = Field("", description="Of one consumer alone.")
    failure: Annotated[str, StringConstraints(max_length=64, pattern=NO_NUL)] = Field(
        "", description="Of one failure group alone and what is merged into it; in the tab `failed` alone."
    )
    within: Periods = Field("", description="How far back is looked; empty: to the beginning.")
    after: Annotated[str, StringConstraints(max_length=100, pattern=NO_NUL)] = Field(
        "", description="`next` of the page before."
    )


NAMES = tuple(Narrowed.model_fields)


@router.get("/messages", auth=Token("outbox.view_message", query=NAMES), response=MessagePage, summary="List messages")
def list_messages(request: HttpRequest, narrowed: Query[Narrowed]) -> dict[str, Any]:
    """Return a page of the work queue, 50 messages at most; each page costs the same, however deep it is."""
    tab = find_tab(narrowed.tab)
    if narrowed.after and not listing.is_cursor(tab, narrowed.after):
        raise Problem(Code.NOT_FOUND, _("No page of this tab begins there. Take “next” from the page before."))
    scope = replace(scope_of(tab, narrowed.consumer, _group_of(narrowed)), within=span_of(narrowed.within))
    with without_jit():
        page = listing.read_page(tab, scope, after=narrowed.after)
    return {"messages": list(map(_brief, page.rows)), "next": page.older or None, "cut_short": page.cut_short}


@router.get("/search", auth=Token("outbox.view_message", query=("text",)), response=SearchResult, summary="Search")
def search_messages(
    request: HttpRequest,
    text: Annotated[
        str,
        StringConstraints(min_length=1, max_length=250, pattern=NO_NUL),
        Query(description="A business id, a message's id or an evidence in full, or a word of the business."),
    ],
) -> dict[str, Any]:
    """Return the newest messages, at most 50, that a word of the business means."""
    page = listing.search_messages(text.strip())
    return {"messages": list(map(_brief, page.rows)), "finder_failed": page.finder_failed}


@router.get("/messages/{id}", auth=Token("outbox.view_message"), response=MessageInFull, summary="Show a message")
def show_message(request: HttpRequest, id: MessageId) -> dict[str, Any]:
    """Return a message with its attempts. The payload is asked for by itself."""
    message = _find(id)
    attempts = list(Attempt.objects.filter(message_id=id).defer("traceback").order_by("-id")[:ATTEMPTS_SHOWN])[::-1]
    return {
        **_brief(message),
        "error": message.last_error,
        "idempotency_key": message.idempotency_key,
        "may_have_acted": _is_suspect(message),
        "issued_by_hand": Evidence.objects.issued().filter(message_id=id).exists(),
        "held_back": operate.why_held_back(message.consumer),
        "tried": [columns(attempt, AttemptOut.model_fields) for attempt in attempts],
    }


@router.get(
    "/messages/{id}/payload",
    auth=Token(PERMISSIONS[Action.REVEAL]),
    response=PayloadOut,
    summary="Reveal a payload",
)
def reveal_payload(request: HttpRequest, id: MessageId) -> dict[str, Any]:
    """Return the payload unmasked. The audit notes who has seen it, each time."""
    return {"payload": _of_message(id, lambda: operate.reveal(id, **by(request)))}


@router.post(
    "/messages/{id}/retry", auth=Token(PERMISSIONS[Action.RETRY]), response=MessageOut, summary="Retry a message"
)
def retry_message(request: HttpRequest, id: MessageId, body: Retry) -> dict[str, Any]:
    """Let a failed message be tried again: a fresh set of tries, the same idempotency key."""
    confirmed: dict[str, Any] = {
        "asked_other_side": body.asked_other_side,
        "despite_evidence": body.despite_evidence,
    }
    return _brief(_of_message(id, lambda: operate.retry(id, **confirmed, **_said(body), **by(request))))


@router.post(
    "/messages/{id}/handle",
    auth=Token(PERMISSIONS[Action.HANDLE]),
    response=MessageOut,
    summary="Mark a message as handled",
)
def handle_message(request: HttpRequest, id: MessageId, body: Handle) -> dict[str, Any]:
    """Close a failed message that was settled outside, with what proves it. The business follows, or refuses."""
    how: dict[str, Any] = {"outcome": HandledAs(body.outcome), "kind": EvidenceKind(body.kind)}
    return _brief(
        _of_message(id, lambda: operate.mark_handled(id, evidence=body.evidence, **how, **_said(body), **by(request)))
    )


@router.post(
    "/messages/{id}/discard", auth=Token(PERMISSIONS[Action.DISCARD]), response=MessageOut, summary="Discard a message"
)
def discard_message(request: HttpRequest, id: MessageId, body: Act) -> dict[str, Any]:
    """Close a failed message on which nobody is to act. The business follows, or refuses."""
    return _brief(_of_message(id, lambda: operate.discard(id, **_said(body), **by(request))))


@router.post(
    "/messages/{id}/withdraw",
    auth=Token(PERMISSIONS[Action.WITHDRAW]),
    response=MessageOut,
    summary="Withdraw a message",
)
def withdraw_message(request: HttpRequest, id: MessageId, body: Act) -> dict[str, Any]:
    """Take a message back that waits, before it is done."""
    return _brief(_of_message(id, lambda: operate.withdraw(id, **_said(body), **by(request))))


def _group_of(narrowed: Narrowed) -> FoundGroup | None:
    """Return the failure group that is asked for, or raise the ``Problem`` of one that is not there, or not here."""
    if not narrowed.failure:
        return None
    if narrowed.tab != FAILED.slug:
        raise _no_such_failure("Only the tab “failed” is narrowed down to a failure group")
    group = find_group(narrowed.failure)
    if group is None:
        raise Problem(Code.NOT_FOUND, _("There is no such failure group, or no longer."))
    if narrowed.consumer not in ("", group.root.consumer):
        raise _no_such_failure(f"The failure group is of {group.root.consumer}")
    return group


def _no_such_failure(message: str) -> Problem:
    return invalid([{"loc": ("query", "failure"), "msg": message}])


def _said(body: Act) -> dict[str, Any]:
    return {"revision": body.revision, "reason": body.reason}


def _find(id: int) -> Message:
    message = Message.objects.filter(pk=id).defer("payload", "headers").first()
    if message is None:
        raise not_found()
    return message


def _of_message(id: int, act: Callable[[], T]) -> T:
    """Act on a message; one that is not there is nothing to be in conflict with."""
    try:
        return act()
    except Conflict:
        if not Message.objects.filter(pk=id).exists():
            raise not_found() from None
        raise


def _is_suspect(message: Message) -> bool:
    return message.exhausted_at is not None and may_have_acted(message)


def _brief(message: Message) -> dict[str, Any]:
    error = getattr(message, "error", None)
    names = [name for name in MessageOut.model_fields if name != "error"]
    return {**columns(message, names), "error": message.last_error[:300] if error is None else error}
