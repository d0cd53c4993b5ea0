"""What each page of the admin asks the database: a dozen statements at most, whatever the number of consumers.

One person looks at everything who is no superuser, so that what they may see is asked for as well.
"""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver
from django.utils import timezone

from outbox import audit
from outbox.admin import sessions
from outbox.admin.messages import listing, tabs
from outbox.models import (
    ApiToken,
    AuditEntry,
    BookDifference,
    BookState,
    BulkOperation,
    DeadLetter,
    Gap,
    Half,
    HalfAnswer,
    HalfState,
    Heartbeat,
    Message,
    Quarantined,
    Said,
    SequenceStream,
    SourceState,
    WatchedStream,
)
from outbox.operate.actions import Action
from tests.awards.admin.everything import name_of
from tests.harness.api import program_of
from tests.harness.bulk import prepared

pytestmark = pytest.mark.django_db
AT_MOST = 12
FEW, MANY = 3, 30
TABS = ("failed", "pending", "started", "success", "handled", "discarded", "overdue", "all")

PAGES: dict[str, str] = {
    "operations": "/admin/",
    "operations of the app": "/admin/outbox/",
    "awards": "/admin/awards/",
    **{f"queue {tab}": f"/admin/outbox/message/?tab={tab}" for tab in TABS},
    **{f"queue {tab} of one consumer": f"/admin/outbox/message/?tab={tab}&consumer={{consumer}}" for tab in TABS},
    **{f"queue {tab}, further down": f"/admin/outbox/message/?tab={tab}&after={{{tab}_cursor}}" for tab in TABS},
    **{f"queue {tab}, further up": f"/admin/outbox/message/?tab={tab}&before={{{tab}_cursor}}" for tab in TABS},
    **{f"queue {tab} of a span": f"/admin/outbox/message/?tab={tab}&within=24h" for tab in TABS},
    **{f"queue {tab} of one's own": f"/admin/outbox/message/?tab={tab}&mine=1" for tab in TABS},
    **{f"queue {tab} with a text in the error": f"/admin/outbox/message/?tab={tab}&error=jam" for tab in TABS},
    **{f"queue {tab}, turned round": f"/admin/outbox/message/?tab={tab}&order=turned" for tab in TABS},
    "saved views": "/admin/outbox/message/saved-views/",
    "queue, what is new": "/admin/outbox/message/arrivals/",
    "queue, search for a person": "/admin/outbox/message/?q=anna@example.com",
    "queue, search for an award": "/admin/outbox/message/?q={award_uuid}",
    "queue of a group": "/admin/outbox/message/?tab=failed&group={group}",
    "queue, search for a key": "/admin/outbox/message/?q={key}",
    "queue, search for an id": "/admin/outbox/message/?q={message}",
    "queue, search for nothing": "/admin/outbox/message/?q=nobody",
    "message failed": "/admin/outbox/message/{message}/change/",
    "message failed, of a group": "/admin/outbox/message/{message}/change/?_changelist_filters=group%3D{group}",
    "message pending": "/admin/outbox/message/{pending}/change/",
    "message that waits for another": "/admin/outbox/message/{behind}/change/",
    "message that others wait for": "/admin/outbox/message/{head}/change/",
    "message success": "/admin/outbox/message/{success}/change/",
    "message handled": "/admin/outbox/message/{handled}/change/",
    "message of an award": "/admin/outbox/message/{award_message}/change/",
    "retry of nothing": "/admin/outbox/message/retry-selected/",
    "the list as a file": "/admin/outbox/message/export/",
    "edit": "/admin/outbox/message/{message}/edit/",
    "groups": "/admin/outbox/failuregroup/",
    **{f"groups {tab}": f"/admin/outbox/failuregroup/?tab={tab}" for tab in ("open", "ignored", "fixed", "all")},
    "groups of one consumer": "/admin/outbox/failuregroup/?consumer={consumer}",
    "groups, second page": "/admin/outbox/failuregroup/?page=2",
    "group": "/admin/outbox/failuregroup/{group}/change/",
    "bulk operations": "/admin/outbox/bulkoperation/",
    "bulk operations, previews": "/admin/outbox/bulkoperation/?tab=drafts",
    "bulk operation": "/admin/outbox/bulkoperation/{operation}/change/",
    "bulk operation, a list": "/admin/outbox/bulkoperation/prepare/",
    "books": "/admin/outbox/bookstate/",
    "book": "/admin/outbox/bookstate/awards/change/",
    "book, a day": "/admin/outbox/bookstate/awards/day/2026-11-01/",
    "book, a difference": "/admin/outbox/bookstate/awards/difference/{difference}/",
    "tokens": "/admin/outbox/apitoken/",
    "token": "/admin/outbox/apitoken/{token}/change/",
    "token, new": "/admin/outbox/apitoken/make/",
    "half messages": "/admin/outbox/half/",
    "half messages of a state": "/admin/outbox/half/?state=unknown",
    "half message": "/admin/outbox/half/{half}/change/",
    "broker": "/admin/outbox/deadletter/",
    "dead letter": "/admin/outbox/deadletter/{letter}/change/",
    "quarantine": "/admin/outbox/quarantined/",
    "quarantine of a source": "/admin/outbox/quarantined/?source=partner",
    "quarantined message": "/admin/outbox/quarantined/{quarantined}/change/",
    "settling of nothing": "/admin/outbox/quarantined/settle/",
    "sources": "/admin/outbox/sourcestate/",
    "source": "/admin/outbox/sourcestate/partner/change/",
    "gaps": "/admin/outbox/gap/",
    "gaps that are closed": "/admin/outbox/gap/?state=closed",
    "gap": "/admin/outbox/gap/{gap}/change/",
    "watched streams": "/admin/outbox/watchedstream/",
    "watched stream": "/admin/outbox/watchedstream/{watched}/change/",
    "numbered streams": "/admin/outbox/sequencestream/",
    "numbered stream": "/admin/outbox/sequencestream/{stream}/change/",
    "consumers": "/admin/outbox/consumerstate/",
    "consumer": "/admin/outbox/consumerstate/{consumer}/change/",
    "consumer that is paused": "/admin/outbox/consumerstate/{paused}/change/",
    "audit": "/admin/outbox/auditentry/",
    "audit of one act": "/admin/outbox/auditentry/?act=retry",
    "audit of one person": "/admin/outbox/auditentry/?actor=ada",
    "audit of an id": "/admin/outbox/auditentry/?about={message}",
    "audit of a key": "/admin/outbox/auditentry/?about={key}",
    "audit of a group": "/admin/outbox/auditentry/?about={group}",
    "audit of an operation": "/admin/outbox/auditentry/?operation={operation}",
    "audit of a span": "/admin/outbox/auditentry/?within=24h&from=2026-01-01&to=2100-01-01",
    "audit, words of the reason": "/admin/outbox/auditentry/?reason=x&actor=ada",
    "audit, further down": "/admin/outbox/auditentry/?after={entry}",
    "audit, further up": "/admin/outbox/auditentry/?before=1",
    "the audit as a file": "/admin/outbox/auditentry/export/",
    "audit entry": "/admin/outbox/auditentry/{entry}/change/",
    "heartbeats": "/admin/outbox/heartbeat/",
    "heartbeat": "/admin/outbox/heartbeat/rescan/change/",
    "campaigns": "/admin/awards/campaign/",
    "campaign": "/admin/awards/campaign/{campaign}/change/",
    "campaign, new": "/admin/awards/campaign/add/",
    "prizes": "/admin/awards/prize/",
    "prize": "/admin/awards/prize/{prize}/change/",
    "prize, its stock": "/admin/awards/prize/{prize}/stock/",
    "prize, its codes": "/admin/awards/prize/{coupon_prize}/codes/",
    "coupons": "/admin/awards/coupon/",
    "coupon": "/admin/awards/coupon/{coupon}/change/",
    "awards, list": "/admin/awards/award/",
    "awards, second page": "/admin/awards/award/?p=2",
    "awards, search": "/admin/awards/award/?q=anna@example.com",
    "awards, search for an id": "/admin/awards/award/?q={award_uuid}",
    "award": "/admin/awards/award/{award}/change/",
    "clients": "/admin/awards/apiclient/",
    "client, new": "/admin/awards/apiclient/add/",
    "client": "/admin/awards/apiclient/{client}/change/",
    "client, its key": "/admin/awards/apiclient/{client}/revoke/",
    "client, its webhook": "/admin/awards/apiclient/{client}/webhook/",
    "entitlements": "/admin/awards/entitlement/",
    "entitlement, new": "/admin/awards/entitlement/add/",
    "entitlement": "/admin/awards/entitlement/{entitlement}/change/",
    "lists of entitlements": "/admin/awards/entitlementimport/",
    "list of entitlements, new": "/admin/awards/entitlementimport/add/",
    "list of entitlements": "/admin/awards/entitlementimport/{list}/change/",
    "list of entitlements, its links": "/admin/awards/entitlementimport/{list}/links/",
    "sales": "/admin/awards/sale/",
    "sale, new": "/admin/awards/sale/add/",
    "sale": "/admin/awards/sale/{sale}/change/",
    "sale, how it goes": "/admin/awards/sale/{sale}/watch/",
    "blocks": "/admin/awards/block/",
    "block, new": "/admin/awards/block/add/",
    "block": "/admin/awards/block/{block}/change/",
    "claims": "/admin/awards/claim/",
    "claim": "/admin/awards/claim/{claim}/change/",
    "draws": "/admin/awards/draw/",
    "draws, search": "/admin/awards/draw/?q=anna@example.com",
    "draw": "/admin/awards/draw/{draw}/change/",
    "accounts": "/admin/awards/pointsaccount/",
    "accounts, search": "/admin/awards/pointsaccount/?q=anna@example.com",
    "account": "/admin/awards/pointsaccount/{account}/change/",
    "entries": "/admin/awards/pointsentry/",
    "entries, search": "/admin/awards/pointsentry/?q=anna@example.com",
    "entry": "/admin/awards/pointsentry/{points}/change/",
    "orders": "/admin/awards/vendororder/",
    "orders, search": "/admin/awards/vendororder/?q=V-1",
    "order": "/admin/awards/vendororder/{order}/change/",
}
"""Every page that is looked at: each list, tab, filter, search and depth, and a row of each kind."""
LEADS_BACK = re.compile(r"(retry-selected|quarantined/settle|deadletter/\d+/change)/$")
"""Where nothing is picked, or a list has all there is to see."""
REFUSED = re.compile(r"_(add|delete|history)$")  # nobody may, or a page of Django's own


@pytest.fixture
def person(client: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Somebody who may see everything, by a group, and is no superuser.

    That they were seen is saved once a minute, with whatever page comes then: that statement is no page's own.
    """
    monkeypatch.setattr(sessions, "SAVED_EVERY", float("inf"))
    user = User.objects.create_user("ada", password="x", is_staff=True)
    group = Group.objects.create(name="who sees all")
    group.permissions.set(Permission.objects.filter(content_type__app_label__in=["outbox", "awards"]))
    user.groups.add(group)
    client.force_login(user)
    return client


def places(business: dict[str, Any]) -> dict[str, Any]:
    """Return what stands in the addresses: rows of one consumer, and of the business."""
    name = name_of(1)
    rows = Message.objects.filter(consumer=name)
    return {
        **business,
        **{f"{tab}_cursor": listing.read_page(tabs.find_tab(tab)).older for tab in TABS},
        "consumer": name,
        "paused": name,
        "group": f"{name} 0".ljust(64, "-"),
        "key": "failed 1",
        "message": rows.get(key="failed 1").pk,
        "pending": rows.get(key="pending 1").pk,
        "success": rows.get(key="success 1").pk,
        "handled": rows.get(key="handled 1").pk,
        "head": rows.get(key="head").pk,
        "behind": rows.get(key="behind").pk,
        "entry": AuditEntry.objects.latest("pk").pk,
        "operation": (BulkOperation.objects.first() or prepared()).pk,
        "letter": (DeadLetter.objects.first() or _dead_letter()).pk,
        "quarantined": (Quarantined.objects.first() or _quarantined()).pk,
        "half": (Half.objects.first() or _half()).pk,
        "gap": (gap := Gap.objects.first() or _gap()).pk,
        "watched": gap.watched_id,
        "stream": SequenceStream.objects.get_or_create(forward="shop.orders", epoch="e")[0].pk,
        "difference": (BookDifference.objects.first() or a_difference(business["award"])).pk,
        "token": (ApiToken.objects.first() or program_of(User.objects.get(username="ada")).token).pk,
    }


def a_difference(award: int) -> BookDifference:
    """Have the book of the awards be read, and find something."""
    at = timezone.now()
    BookState.objects.create(name="awards", topic="award.won.*", began_at=at, read_until=at)
    return BookDifference.objects.create(book="awards", kind="no_message", key=str(award), at=at)


def statements(client: Client, path: str) -> list[str]:
    """Return what a page asks the database, apart from where transactions begin and end."""
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(path)
    assert answer.status_code == 200 or (answer.status_code == 302 and LEADS_BACK.search(path)), path
    asked = [query["sql"] for query in queries]
    return [sql for sql in asked if not re.match(r"(RELEASE )?SAVEPOINT|BEGIN|COMMIT", sql)]


def count_all(client: Client, where: dict[str, Any]) -> dict[str, int]:
    return {page: len(statements(client, path.format_map(where))) for page, path in PAGES.items()}


def test_no_page_asks_more_than_a_dozen_questions_whatever_the_number_of_consumers(
    person: Client, consumers: Callable[..., None], business: dict[str, Any], settings: Any
) -> None:
    # A rescan that is overdue is looked into, which costs some statements more.
    settings.OUTBOX = {**settings.OUTBOX, "RESCAN_LIMIT": timedelta(days=1)}
    for name in ("rescan", "prune", "rollup", "alerts", "audit"):
        Heartbeat.objects.create(name=name)
    for n in range(60):
        audit.append(
            actor="ada", origin="", action=Action.RETRY, subject=f"{n}", message_id=n, before={}, after={}, reason="x"
        )
    consumers(FEW)
    # What a process remembers, such as the types of content, is asked for once: by the first page of a kind.
    where = places(business)
    for path in {re.sub("=[^&{]*|{[^}]*}", "", path): path for path in PAGES.values()}.values():
        statements(person, path.format_map(where))
    of_few = count_all(person, places(business))

    consumers(MANY, first=FEW)
    of_many = count_all(person, places(business))

    assert {page: count for page, count in of_many.items() if count > AT_MOST} == {}
    assert {page: (of_few[page], count) for page, count in of_many.items() if count > of_few[page]} == {}


def test_every_page_of_the_admin_is_among_those_that_are_counted() -> None:
    ours = re.compile(r"admin/(outbox|awards)/")
    known = {"/" + path for path, name in _routes(get_resolver()) if ours.match(path) and not REFUSED.search(name)}

    missing = {
        route
        for route in known
        if not any(re.fullmatch(re.sub(r"<[^>]+>", "[^/]+", route) + r"(\?.*)?", page) for page in PAGES.values())
    }

    assert missing == set()


def _gap() -> Gap:
    watched = WatchedStream.objects.create(source="partner", stream="shop.orders/order.eu", epoch="e")
    return Gap.objects.create(watched=watched, first=7, last=7, said="sent")


def _half() -> Half:
    """Write a half message of which its check knows nothing."""
    half = Half.objects.create(
        topic="award.won", key="1", payload_json="{}", check_name="awards.check", state=HalfState.UNKNOWN
    )
    HalfAnswer.objects.create(half=half, number=1, said=Said.NOT_YET)
    return half


def _dead_letter() -> DeadLetter:
    return DeadLetter.objects.create(digest="d" * 64, queue="q", reason="rejected")


def _quarantined() -> Quarantined:
    SourceState.objects.create(source="partner")
    return Quarantined.objects.create(
        source="partner", queue="partner.events", reason="no_json", body=b"?", size=1, digest=uuid4()
    )


def _routes(resolver: Any, before: str = "") -> Iterator[tuple[str, str]]:
    """Yield route and name of every page; what only leads on has no name."""
    for each in resolver.url_patterns:
        route = before + str(each.pattern)
        if hasattr(each, "url_patterns"):
            yield from _routes(each, route)
        elif each.name:
            yield route, each.name
