"""``make pictures``: photographs of the desk for the manual, as somebody sees it in a bad night.

It is no test, and pytest collects it only by its name. Who has changed a page runs it, looks, and commits the pictures.
"""

import os
from datetime import timedelta
from pathlib import Path
from time import sleep

import pytest
from django.contrib.auth.models import User
from django.db.models import F
from django.utils import timezone

from awards.consumers import ISSUED_BY
from awards.models import Award, Kind
from outbox.bulk import operations, running, selection
from outbox.models import (
    AttemptOutcome,
    BulkOperation,
    FailureCount,
    FailureGroup,
    FailureHour,
    GroupState,
    Message,
    MinuteStat,
    Status,
)
from outbox.models.bulk import BulkVerb
from outbox.policy import Reason
from tests.awards.given import a_campaign, a_draw, a_gift
from tests.harness.browsing import Open, browser, open_page, over_http
from tests.harness.bulk import succeed
from tests.harness.clock import HOUR, MINUTE, SECOND, database_time
from tests.harness.desk import page_of
from tests.harness.program import ROOT
from tests.harness.rows import all_is_well, attempt

__all__ = ["browser", "open_page", "over_http"]

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PICTURES = Path(os.environ.get("PICTURES") or ROOT / "docs" / "pages" / "pictures")
DESKTOP = {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light", "locale": "en-US"}
ORDER = ISSUED_BY[Kind.GIFT]
DOWN = "VendorFailed: the vendor answered 503"
RENAMED = 'Reject: the vendor refused article GIFT-KETTLE-17: 422 {"error": "no such article"}'
REFUSED = 'Reject: the vendor refused article KETTLE-03: 422 {"error": "not sold any more"}'


@pytest.fixture
def lead(db: None) -> User:
    """Ada, who may do everything."""
    return User.objects.create_superuser("ada", password="secret")


@pytest.fixture
def night() -> FailureGroup:
    """A vendor has renamed an article: 180 gifts have failed since one o'clock, and still more do."""
    campaign = a_campaign(name="Summer raffle")
    a_gift(campaign, "GIFT-KETTLE-17", name="Travel kettle")
    awards = [a_draw(campaign, f"{name}@example.org").award for name in _people(192)]
    renamed = _failed(
        awards[:180], "the vendor refused article GIFT-KETTLE-<n>: 422 {<text>: <text>}", RENAMED, since=3 * HOUR
    )
    _failed(awards[180:184], "the vendor refused article KETTLE-<n>: 422 {<text>: <text>}", REFUSED, since=5 * HOUR)
    _done(awards[184:])
    now = timezone.now().replace(second=0, microsecond=0)
    for minutes in range(10, 1430, 10):
        bad = 11 if minutes < 180 else 0
        figures = {"successes": 60 + minutes % 70, "failed": 3 * bad, "exhausted": bad, "unavailable": bad // 4}
        MinuteStat.objects.create(minute=now - minutes * MINUTE, consumer=ORDER, **figures)
    return renamed


def test_operations(open_page: Open, night: FailureGroup) -> None:
    running_operation()

    _take(open_page, "/admin/outbox/", "operations")


def test_a_failure_group(open_page: Open, night: FailureGroup) -> None:
    FailureGroup.objects.filter(pk=night.pk).update(
        state=GroupState.INVESTIGATING, owner="grace", ticket="SHOP-311", note="The vendor has new article numbers."
    )

    _take(open_page, page_of(night), "group")


def test_a_bulk_operation(open_page: Open, night: FailureGroup) -> None:
    _take(open_page, page_of(running_operation()), "bulk")


def test_a_message(open_page: Open, night: FailureGroup) -> None:
    message = Message.objects.filter(last_error=REFUSED).latest("pk")

    _take(open_page, page_of(message), "message")


def running_operation() -> BulkOperation:
    """A retry of all that failed of one cause, a good part of it done."""
    made = operations.prepare(BulkVerb.RETRY, selection.failed(), actor="ada")
    made = operations.start(made.pk, revision=0, actor="ada", reason="the vendor has its old numbers again", rate=20)
    for _pass in range(6):
        running.go_on()
        succeed()
        sleep(0.7)
    running.go_on()
    return BulkOperation.objects.get(pk=made.pk)


def _take(open_page: Open, address: str, name: str) -> None:
    all_is_well()  # by now: making the night has taken a while
    page = open_page(address, **DESKTOP)
    height = min(page.evaluate("document.documentElement.scrollHeight"), 1060)
    page.set_viewport_size({"width": 1280, "height": height})
    page.screenshot(path=PICTURES / f"{name}.png")


def _people(many: int) -> list[str]:
    return [f"{('paula', 'omar', 'lin', 'ines')[n % 4]}.{n}" for n in range(many)]


def _failed(awards: list[Award], title: str, error: str, *, since: timedelta) -> FailureGroup:
    """Let the machine give up on these awards, one after another since then; the group counts what failed."""
    group = FailureGroup.objects.create(
        fingerprint=str(abs(hash(title)))[:16].ljust(64, "0"),
        consumer=ORDER,
        exception=error.partition(":")[0],
        place="awards/vendor_client.py:order",
        title=title,
        first_at=database_time() - since,
    )
    now, hour = database_time(), int(database_time().timestamp() // 3600)
    for n, award in enumerate(awards):
        message = Message.objects.get(consumer=ORDER, key=str(award.pk))
        at = now - since + since * n / len(awards)
        attempt(message, 1, at=at - 20 * SECOND, error=DOWN)
        attempt(message, 2, AttemptOutcome.REJECTED, at=at, error=error)
        Message.objects.filter(pk=message.pk).update(
            status=Status.FAILED,
            attempts=2,
            reason=Reason.REJECTED,
            created_at=at - 2 * MINUTE,
            started_at=at - SECOND,
            finished_at=at,
            exhausted_at=at,
            last_error=error,
            failure=group.pk,
            worker="celery@shop-1",
        )
    FailureCount.objects.create(group=group, slot=0, count=len(awards), last_at=now - MINUTE)
    hours = since // HOUR
    for ago in range(hours):
        FailureHour.objects.create(group=group, hour=hour - ago, slot=0, count=len(awards) // hours)
    return group


def _done(awards: list[Award]) -> None:
    for award in awards:
        Message.objects.filter(key=str(award.pk)).update(
            status=Status.SUCCESS, attempts=1, started_at=F("created_at"), finished_at=F("created_at")
        )
