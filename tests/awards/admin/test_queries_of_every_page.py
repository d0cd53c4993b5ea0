"""What each page of the admin asks the database: a dozen statements at most, whatever the number of consumers.

One person looks at everything who is no superuser, so that what they may see is asked for as well.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver
from django.utils import timezone

from awards.models import Award, Coupon, PointsAccount, PointsEntry, VendorOrder
from outbox import audit, registry
from outbox.admin.messages import listing, tabs
from outbox.models import (
    ApiToken,
    AuditEntry,
    BulkOperation,
    ConsumerState,
    FailureGroup,
    Heartbeat,
    Message,
    MinuteStat,
    Places,
)
from outbox.operate.actions import Action
from tests.awards import given
from tests.harness.api import program_of
from tests.harness.bulk import prepared
from tests.harness.rows import Rows, attempt

pytestmark = pytest.mark.django_db
AT_MOST = 12
FEW, MANY = 3, 30
PEOPLE = ("anna@example.com", "ben@example.com", "cleo")
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
    "tokens": "/admin/outbox/apitoken/",
    "token": "/admin/outbox/apitoken/{token}/change/",
    "token, new": "/admin/outbox/apitoken/make/",
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
REFUSED = re.compile(r"_(add|delete|history)$")  # nobody may, or a page of Django's own


def name_of(number: int) -> str:
    return f"many.consumer_{number:02}"


@pytest.fixture
def person(client: Client) -> Client:
    """Somebody who may see everything, by a group, and is no superuser."""
    user = User.objects.create_user("ada", password="x", is_staff=True)
    group = Group.objects.create(name="who sees all")
    group.permissions.set(Permission.objects.filter(content_type__app_label__in=["outbox", "awards"]))
    user.groups.add(group)
    client.force_login(user)
    return client


@pytest.fixture
def consumers() -> Iterator[Callable[[int], None]]:
    """Make so many consumers with messages in every state, failure groups, held keys, pauses and figures."""
    with ExitStack() as made:

        def make(last: int, *, first: int = 0) -> None:
            for number in range(first, last):
                name = name_of(number)
                registry.consumer("many.topic", name=name, atomic=False, concurrency=2)(_nothing)
                made.callback(registry.forget_consumer, name)
                _write_messages(name, number)

        yield make


def _nothing(_message: object) -> None:
    """Consume."""


def _write_messages(name: str, number: int) -> None:
    """Write what stands in the table of one consumer; of everything so much that the first is on a page of its own."""
    rows = Rows(name, topic="many.topic", age=timedelta(minutes=number + 1))
    groups = [f"{name} {n}".ljust(64, "-") for n in range(3)]
    for state, fingerprint in zip(("new", "ignored", "fixed"), groups, strict=True):
        group = FailureGroup.objects.create(
            fingerprint=fingerprint, consumer=name, title="ValueError: the till", exception="ValueError", state=state
        )
        group.counts.create(slot=1, count=9, last_at=timezone.now())
    for n in range(18):
        last = rows.failed(f"failed {n}", failure=groups[n % 3])
        attempt(last)
        rows.pending(f"pending {n}")
        rows.started(f"started {n}")
        rows.success(f"success {n}")
        rows.handled(f"handled {n}")
        rows.discarded(f"discarded {n}")
        rows.discarded(f"overdue {n}", resolution="overdue", reason="expired")
    head = rows.failed("head", ordering_key="key", failure=groups[0])
    rows.pending("behind", ordering_key="key", due_at=head.expires_at)
    if number:
        ConsumerState.objects.create(consumer=name, paused_at=Now(), paused_by="ada", paused_reason="x")
        ConsumerState.objects.create(consumer=f"gone.{number}", paused_at=Now(), paused_by="ada", paused_reason="x")
        MinuteStat.objects.create(
            minute=timezone.now().replace(second=0, microsecond=0), consumer=name, successes=1, failed=2
        )
        Places.objects.say(name, f"worker {number}", width=2, taken=1, stuck=1)


@pytest.fixture
def business() -> dict[str, Any]:
    """Make awards of each kind, more than a page of them, and what issuing leaves behind."""
    campaign = given.a_campaign()
    prize = given.points(campaign)
    for n in range(60):
        given.a_draw(campaign, PEOPLE[n % 3], request_id=f"draw-{n}")
    award = Award.objects.filter(person=PEOPLE[0]).latest("pk")
    account = PointsAccount.objects.create(person=PEOPLE[0], balance=50)
    entry = PointsEntry.objects.create(account=account, award=award, points=50)
    gift = given.an_award_of_a_gift()
    order = VendorOrder.objects.create(award=gift, number="V-1", sku=gift.vendor_sku, idempotency_key="key-1")
    coupon_prize = given.a_coupon_prize(campaign, codes=60)
    return {
        "campaign": campaign.pk,
        "prize": prize.pk,
        "coupon_prize": coupon_prize.pk,
        "coupon": Coupon.objects.latest("pk").pk,
        "award": award.pk,
        "award_uuid": award.public_id,
        "draw": award.draw_id,
        "account": account.pk,
        "points": entry.pk,
        "order": order.pk,
        "award_message": given.message_of(award).pk,
    }


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
        "token": (ApiToken.objects.first() or program_of(User.objects.get(username="ada")).token).pk,
    }


def statements(client: Client, path: str) -> list[str]:
    """Return what a page asks the database, apart from where transactions begin and end."""
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(path)
    assert answer.status_code == 200 or (answer.status_code == 302 and "retry-selected" in path), path
    asked = [query["sql"] for query in queries]
    return [sql for sql in asked if not re.match(r"(RELEASE )?SAVEPOINT|BEGIN|COMMIT", sql)]


def count_all(client: Client, where: dict[str, Any]) -> dict[str, int]:
    return {page: len(statements(client, path.format_map(where))) for page, path in PAGES.items()}


def test_no_page_asks_more_than_a_dozen_questions_whatever_the_number_of_consumers(
    person: Client, consumers: Callable[..., None], business: dict[str, Any], settings: Any
) -> None:
    # A rescan that is overdue is looked into, which costs some statements more.
    settings.OUTBOX = {**settings.OUTBOX, "RESCAN_LIMIT": timedelta(days=1)}
    for name in ("rescan", "prune", "rollup", "alerts"):
        Heartbeat.objects.create(name=name)
    for n in range(60):
        audit.append(
            actor="ada", origin="", action=Action.RETRY, subject=f"{n}", message_id=n, before={}, after={}, reason="x"
        )
    consumers(FEW)
    count_all(person, places(business))  # what a process remembers, such as the types of content, is asked for once
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


def _routes(resolver: Any, before: str = "") -> Iterator[tuple[str, str]]:
    """Yield route and name of every page; what only leads on has no name."""
    for each in resolver.url_patterns:
        route = before + str(each.pattern)
        if hasattr(each, "url_patterns"):
            yield from _routes(each, route)
        elif each.name:
            yield route, each.name
