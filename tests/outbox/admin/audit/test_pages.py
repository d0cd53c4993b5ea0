"""The audit as an auditor reads it: all of it, page by page, narrowed down by whatever is known of an act."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from outbox import audit, operate
from outbox.admin.audit import listing
from outbox.models import AuditEntry
from tests.harness.bulk import prepared
from tests.harness.clock import DAY, HOUR
from tests.harness.desk import ISSUE, failure_group, text_of, user, wins
from tests.outbox.audit.entries import append_actions, noted_at

pytestmark = pytest.mark.django_db(transaction=True)

AUDIT = reverse("admin:outbox_auditentry_changelist")


@pytest.fixture
def auditor(client: Client) -> Client:
    client.force_login(user("olga", "view_message", "view_audit"))
    return client


def listed(client: Client, address: str = AUDIT, **narrowed: Any) -> list[int]:
    return [entry.pk for entry, _act in client.get(address, narrowed).context["rows"]]


def every_page(client: Client, way: str, address: str) -> list[int]:
    """Return what stands on all pages, from one on, by their links."""
    ids: list[int] = []
    while address:
        page = client.get(address)
        ids += [entry.pk for entry, _act in page.context["rows"]]
        address = page.context[way] and AUDIT + page.context[way]
    return ids


def test_all_of_it_is_shown_page_by_page_down_and_up_again(auditor: Client) -> None:
    made = append_actions(*[HOUR] * 130)

    down = every_page(auditor, "older_url", AUDIT)
    up = every_page(auditor, "newer_url", f"{AUDIT}?before={made[0]}")

    assert down == made[::-1]
    assert sorted(up[:50]) == made[1:51]
    assert set(up) == set(made[1:])


def test_an_entry_says_who_when_what_and_why_and_leads_to_its_message(auditor: Client, lead: User) -> None:
    message = wins.failed()
    operate.discard(message.pk, revision=0, actor=lead, reason="a test campaign", origin="10.0.0.7")
    entry = AuditEntry.objects.get()

    page = auditor.get(AUDIT)
    detail = auditor.get(reverse("admin:outbox_auditentry_change", args=[entry.pk]))

    for part in ("lead", "discard", str(message), f"#{message.pk}", "a test campaign", "10.0.0.7"):
        assert part in text_of(page)
    assert f"{entry.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" in page.text
    assert f'<a href="/admin/outbox/message/{message.pk}/change/">#{message.pk}</a>' in page.text
    assert '"resolution": "discarded"' in text_of(detail)


def test_it_is_narrowed_down_by_whatever_is_known(auditor: Client, lead: User) -> None:
    message, other = wins.failed("A-1"), wins.failed("A-2")
    operate.discard(message.pk, revision=0, actor=lead, reason="Test campaign")
    operate.discard(other.pk, revision=0, actor="ada", reason="x")
    operate.reopen(other.pk, revision=1, actor="ada", reason="y")
    operate.pause(ISSUE, seen=None, actor=lead, reason="the vendor is down")
    group = failure_group("vendor")
    operate.set_group(group.pk, revision=0, was=group.state, actor=lead, state=group.state, owner="ada")
    of_one, of_other, reopened, paused, triaged = AuditEntry.objects.order_by("pk").values_list("pk", flat=True)

    assert listed(auditor, actor="ada") == [reopened, of_other]
    assert listed(auditor, act="discard") == [of_other, of_one]
    assert listed(auditor, act="discard", actor="ada") == [of_other]
    assert listed(auditor, about=str(message.pk)) == [of_one]
    assert listed(auditor, about=f"#{other.pk}", act="reopen") == [reopened]
    assert listed(auditor, about="A-1") == [of_one]
    assert listed(auditor, about=f"{message.topic} A-1") == [of_one]
    assert listed(auditor, about=ISSUE) == [paused]
    assert listed(auditor, about=group.pk[:12]) == [triaged]
    assert listed(auditor, about=group.pk) == [triaged]
    assert listed(auditor, reason="CAMPAIGN") == [of_one]
    assert listed(auditor, reason="vendor", actor="lead") == [paused]
    assert listed(auditor, about="nothing of the kind") == []


def test_a_message_that_is_gone_is_found_by_its_topic_and_business_id(auditor: Client, lead: User) -> None:
    message = wins.failed("A-1")
    operate.discard(message.pk, revision=0, actor=lead, reason="x")
    message.delete()

    assert len(listed(auditor, about=f"{message.topic} A-1")) == 1


def test_the_acts_on_a_bulk_operation_are_found_by_its_number(auditor: Client) -> None:
    wins.failed()
    operation = prepared()
    noted_at(HOUR, action="bulk_start", subject=str(operation))
    append_actions(HOUR)

    assert len(listed(auditor, operation=str(operation.pk))) == 1
    assert len(listed(auditor, operation=f"#{operation.pk}")) == 1
    assert listed(auditor, operation=str(operation.pk + 1)) == []


def test_days_are_looked_at_from_the_first_to_the_end_of_the_last(auditor: Client, settings: Any) -> None:
    settings.TIME_ZONE = "UTC"
    old, young = append_actions(10 * DAY, HOUR)
    day = f"{AuditEntry.objects.get(pk=old).at.astimezone(UTC):%Y-%m-%d}"
    following = f"{AuditEntry.objects.get(pk=old).at.astimezone(UTC) + DAY:%Y-%m-%d}"

    assert listed(auditor, within="24h") == [young]
    assert listed(auditor, **{"from": day, "to": day}) == [old]
    assert listed(auditor, **{"from": following}) == [young]
    assert listed(auditor, to=day) == [old]
    assert listed(auditor, **{"from": following, "to": following}) == []
    assert listed(auditor, to="1999-01-01") == []


def test_where_a_clock_was_set_back_no_entry_of_a_day_is_missed(auditor: Client) -> None:
    before, ahead, after = append_actions(3 * HOUR, HOUR, 2 * HOUR)

    assert listed(auditor, within="12h") == [after, ahead, before]


@pytest.mark.parametrize(("name", "text"), [("from", "31.12.2026"), ("to", "2026-13-01"), ("operation", "seven")])
def test_what_is_no_date_and_no_number_is_said(auditor: Client, name: str, text: str) -> None:
    made = append_actions(HOUR)

    page = auditor.get(AUDIT, {name: text})

    assert f"“{text}” is no" in text_of(page)
    assert [entry.pk for entry, _act in page.context["rows"]] == made


def test_rare_words_are_looked_for_a_part_at_a_time_until_the_end(
    auditor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "ENTRIES_READ", 20)
    oldest = noted_at(2 * HOUR, reason="once upon a time")
    append_actions(*[HOUR] * 50)

    first = auditor.get(AUDIT, {"reason": "once upon"})
    found = every_page(auditor, "older_url", f"{AUDIT}?reason=once+upon")

    assert "Nothing in the part of the audit that was looked through" in text_of(first)
    assert "Look further" in text_of(first)
    assert found == [oldest]


def test_on_the_way_back_one_looks_further_towards_what_is_newer(
    auditor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "ENTRIES_READ", 20)
    made = append_actions(*[HOUR] * 50)
    newest = noted_at(0 * HOUR, reason="once upon a time")

    first = auditor.get(AUDIT, {"reason": "once upon", "before": str(made[0])})
    found = every_page(auditor, "newer_url", f"{AUDIT}?reason=once+upon&before={made[0]}")

    assert "← Look further Older →" in text_of(first)
    assert found[-1] == newest


def test_texts_that_were_erased_are_shown_as_erased(auditor: Client, lead: User) -> None:
    message = wins.failed()
    operate.discard(message.pk, revision=0, actor=lead, reason="Ada Lovelace asked for it")
    operate.erase([message.pk], actor=lead, reason="they asked for it")
    entry = AuditEntry.objects.get(message_id=message.pk)

    page = auditor.get(AUDIT, {"about": str(message.pk)})
    detail = auditor.get(reverse("admin:outbox_auditentry_change", args=[entry.pk]))

    assert "erased" in text_of(page)
    assert text_of(detail).count("erased") == 3
    assert "Lovelace" not in page.text + detail.text


def test_no_page_of_it_counts_the_entries_or_turns_over_the_table(auditor: Client) -> None:
    append_actions(*[HOUR] * 60)

    with CaptureQueriesContext(connection) as queries:
        auditor.get(AUDIT, {"actor": "ada", "reason": "till", "within": "24h"})

    asked = [query["sql"] for query in queries if "outbox_auditentry" in query["sql"]]
    assert len(asked) <= 3
    assert not any("COUNT(" in sql or "OFFSET 50" in sql for sql in asked)


def test_it_takes_a_permission_of_its_own(client: Client) -> None:
    client.force_login(user("viewer", "view_message"))

    assert client.get(AUDIT).status_code == 403


def test_who_it_was_is_looked_for_by_the_whole_name_whatever_that_has(auditor: Client) -> None:
    noted_at(timedelta(0), actor="o'brien; --")

    assert len(listed(auditor, actor="o'brien; --")) == 1
    assert listed(auditor, actor="o") == []
    assert audit.verify_chain() is None
    assert datetime.now(UTC) > AuditEntry.objects.get().at
