"""Each act at the desk as a POST made by hand: which acts it takes, and a function that makes its row."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import User
from django.urls import reverse

from outbox import book
from outbox.books import days
from outbox.books.declaring import forget_book, get_book
from outbox.books.keeping import read_book
from outbox.models import (
    BookDifference,
    BulkOperation,
    ConsumerState,
    DeadLetter,
    FailureGroup,
    Gap,
    Half,
    Message,
    Quarantined,
    SavedView,
    WatchedStream,
)
from outbox.operate.actions import Action
from tests.harness.api import program_of
from tests.harness.bulk import prepared, started
from tests.harness.desk import ISSUE, TOPIC, failure_group, page_of, wins
from tests.harness.ledger import SaleBook, sell
from tests.harness.rows import Rows, proof

ASKED, REHEARSED = "desk.asked", "desk.rehearsed"


asked_rows = Rows(ASKED, topic=TOPIC, attempt_limit=3)


rehearsed_rows = Rows(REHEARSED, topic=TOPIC, attempt_limit=3)


REASON = {"reason": "by hand", "revision": 0}


PREPARE = "admin:outbox_bulkoperation_prepare"


Posted = tuple[str, dict[str, Any]]


def on_message(make: Callable[..., Message], **given: Any) -> Callable[[], Posted]:
    def post() -> Posted:
        return page_of(make()), {**REASON, **given}

    return post


def doubled() -> Message:
    message = wins.success()
    proof(message, retried_at=message.finished_at)
    return message


def waiting() -> Message:
    message = wins.pending()
    Message.objects.filter(pk=message.pk).update(not_before="2999-01-01T00:00:00Z")
    return message


def edit() -> Posted:
    message = wins.failed()
    given = {**REASON, "payload": '{"award": 18}', "step": "save"}
    return reverse("admin:outbox_message_edit", args=[message.pk]), given


def retry_of_many() -> Posted:
    message = wins.failed()
    return reverse("admin:outbox_message_retry_selected"), {"pick": f"{message.pk}:0", "confirmed": 1, **REASON}


def on_operation(make: Callable[[], BulkOperation], act: Action) -> Callable[[], Posted]:
    def post() -> Posted:
        wins.failed()
        operation = make()
        return page_of(operation), {"act": act.value, "reason": "by hand", "revision": operation.revision}

    return post


def discarding() -> BulkOperation:
    return started(verb="discard")


def triage() -> Posted:
    given = {**REASON, "act": "triage", "state": "investigating", "was": "new"}
    return page_of(failure_group(stuck=1)), given


def on_consumer(act: str) -> Callable[[], Posted]:
    def post() -> Posted:
        if act == "resume":
            ConsumerState.objects.create(consumer=ISSUE, paused_at="2026-01-01T00:00:00Z", paused_by="x")
        seen = "2026-01-01T00:00:00+00:00" if act == "resume" else ""
        return page_of(ConsumerState(pk=ISSUE)), {"act": act, "reason": "by hand", "seen": seen}

    return post


def prepare(verb: str) -> Callable[[], Posted]:
    def post() -> Posted:
        wins.failed()
        return reverse(PREPARE), {"verb": verb, "all": "1", **({"rename": "award = prize"} if verb == "edit" else {})}

    return post


def merge() -> Posted:
    other = failure_group("drawer")
    return page_of(failure_group()), {"act": "merge", "revision": 0, "into": other.pk}


def split() -> Posted:
    root, member = failure_group(), failure_group("drawer")
    FailureGroup.objects.filter(pk=member.pk).update(merged_into=root.pk)
    return page_of(root), {"act": "split", "member": member.pk, "revision": 0}


def on_view(act: str) -> Callable[[], Posted]:
    def post() -> Posted:
        view = SavedView.objects.create(owner="ada.byron", name="mine", query="tab=failed")
        given = {"act": act, "view": view.pk, "revision": 0, "name": "other", "query": "tab=failed"}
        return reverse("admin:outbox_message_saved_views"), given

    return post


def revoke() -> Posted:
    token = program_of(User.objects.create_user("tim")).token
    return page_of(token), {"act": "token_revoke", "reason": "by hand"}


def discard_letters() -> Posted:
    one = DeadLetter.objects.create(digest="d" * 64, queue="q", reason="rejected")
    given = {"act": "discard_letters", "letters": str(one.pk), "reason": "by hand"}
    return reverse("admin:outbox_deadletter_changelist"), given


def on_gap() -> Posted:
    watched = WatchedStream.objects.create(source="partner", stream="shop.orders/order.eu", epoch="e")
    gap = Gap.objects.create(watched=watched, first=7, last=7, said="sent")
    return page_of(gap), {"act": "close_gap", "reason": "by hand"}


def on_quarantined(act: str) -> Callable[[], Posted]:
    def post() -> Posted:
        row = Quarantined.objects.create(
            source="partner", queue="partner.events", reason="no_json", body=b"?", size=1, digest=uuid4()
        )
        return page_of(row), {"act": act, "reason": "by hand"}

    return post


def on_half(act: str) -> Callable[[], Posted]:
    def post() -> Posted:
        half = Half.objects.create(
            topic="desk.won", key="1", payload_json="{}", check_name="shop.check", state="unknown"
        )
        return page_of(half), {"act": act, "revision": 0, "reason": "by hand", "confirm": "on"}

    return post


def a_book() -> None:
    forget_book("sales")
    book("sales")(type("DeniedBook", (SaleBook,), {"__module__": __name__}))


def close_day() -> Posted:
    a_book()
    day = days.today() - timedelta(days=2)
    read_book(get_book("sales"))
    return reverse("admin:outbox_bookstate_day", args=["sales", f"{day:%Y-%m-%d}"]), {
        "act": "close_day",
        "reason": "by hand",
    }


def explain() -> Posted:
    a_book()
    sell()
    read_book(get_book("sales"))
    difference = BookDifference.objects.get()
    given = {"act": "explain", "reason": "by hand"}
    return reverse("admin:outbox_bookstate_difference", args=["sales", difference.pk]), given


def make_token() -> Posted:
    given = {"name": "night job", "scopes": ["messages:read"], "days": "30", "reason": "by hand"}
    return reverse("admin:outbox_apitoken_make"), given


POSTS: dict[str, tuple[list[Action], Callable[[], Posted]]] = {
    "retry": ([Action.RETRY], on_message(wins.failed, act="retry")),
    "retry of many": ([Action.RETRY], retry_of_many),
    "edit": ([Action.EDIT, Action.REVEAL], edit),
    "handle": (
        [Action.HANDLE],
        on_message(wins.failed, act="handle", outcome="issued", kind="order", evidence="ORDER-7"),
    ),
    "discard": ([Action.DISCARD], on_message(wins.failed, act="discard", confirm="on")),
    "reopen": ([Action.REOPEN], on_message(wins.discarded, act="reopen")),
    "acknowledge": ([Action.ACKNOWLEDGE], on_message(doubled, act="acknowledge")),
    "hurry": ([Action.HURRY], on_message(waiting, act="hurry")),
    "withdraw": ([Action.WITHDRAW], on_message(wins.pending, act="withdraw", confirm="on")),
    "replay": (
        [Action.REPLAY],
        on_message(wins.success, act="replay", confirm="on", consumer=ISSUE, identity="new"),
    ),
    "ask": ([Action.ASK], on_message(asked_rows.failed, act="ask")),
    "rehearse": ([Action.REHEARSE], on_message(rehearsed_rows.failed, act="rehearse")),
    "reveal": ([Action.REVEAL], on_message(wins.failed, act="reveal")),
    "pause": ([Action.PAUSE], on_consumer("pause")),
    "resume": ([Action.RESUME], on_consumer("resume")),
    "triage": ([Action.TRIAGE], triage),
    "merge": ([Action.MERGE], merge),
    "split": ([Action.SPLIT], split),
    "note": ([Action.NOTE], on_message(wins.failed, act="note", owner="ada", text="seen")),
    "save a view": ([Action.SAVE_VIEW], on_view("save_view")),
    "rename a view": ([Action.RENAME_VIEW], on_view("rename_view")),
    "delete a view": ([Action.DELETE_VIEW], on_view("delete_view")),
    "make a token": ([Action.TOKEN_MAKE], make_token),
    "revoke a token": ([Action.TOKEN_REVOKE], revoke),
    "discard dead letters": ([Action.DISCARD_LETTERS], discard_letters),
    "close a day": ([Action.CLOSE_DAY], close_day),
    "explain a difference": ([Action.EXPLAIN], explain),
    "publish a half message": ([Action.HALF_PUBLISH], on_half("half_publish")),
    "take a half message back": ([Action.HALF_TAKE_BACK], on_half("half_take_back")),
    "ask the check": ([Action.HALF_ASK], on_half("half_ask")),
    "close a gap": ([Action.CLOSE_GAP], on_gap),
    "take in": ([Action.TAKE_IN], on_quarantined("take_in")),
    "discard what is quarantined": ([Action.DISCARD_QUARANTINED], on_quarantined("discard_quarantined")),
    **{
        f"prepare to {verb}": ([Action.BULK_START, Action(verb), *more], prepare(verb))
        for verb, more in {"retry": [], "handle": [], "discard": [], "edit": [Action.REVEAL]}.items()
    },
    "start": ([Action.BULK_START, Action.RETRY], on_operation(prepared, Action.BULK_START)),
    "approve": ([Action.BULK_APPROVE], on_operation(discarding, Action.BULK_APPROVE)),
    "pause the operation": ([Action.BULK_PAUSE], on_operation(started, Action.BULK_PAUSE)),
    "cancel": ([Action.BULK_CANCEL], on_operation(started, Action.BULK_CANCEL)),
}


NOT_POSTED = {Action.ERASE, Action.EXPORT, Action.BULK_RESUME, Action.FORGET_STREAM, Action.NEW_EPOCH}
"""By command alone; a file, by GET (below); as to pause."""
