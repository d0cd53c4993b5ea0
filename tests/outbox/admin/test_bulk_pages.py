"""The pages of bulk operations: prepared from a list, previewed, started, watched, stopped."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from outbox.bulk import operations, running
from outbox.models import BulkItem, BulkOperation, Message
from outbox.models.bulk import BulkState, BulkVerb
from tests.harness.bulk import failed_messages, go_on, now, prepared, started
from tests.harness.desk import ISSUE, ORDER, failure_group, page_of, text_of, user, wins
from tests.harness.rows import attempt, set_consumer

pytestmark = pytest.mark.django_db(transaction=True)

PREPARE = "admin:outbox_bulkoperation_prepare"
LEAD = (
    "view_message",
    "view_failuregroup",
    "view_bulkoperation",
    "retry_message",
    "resolve_message",
    "discard_message",
    "bulk_message",
    "approve_bulk",
)


@pytest.fixture
def night(client: Client) -> Client:
    client.force_login(user("nora", *LEAD))
    return client


def prepare(client: Client, **posted: Any) -> Any:
    return client.post(reverse(PREPARE), posted, follow=True)


def act(client: Client, operation: BulkOperation, name: str, **posted: Any) -> Any:
    given = {"act": name, "revision": now(operation).revision, "reason": "the till is mended", **posted}
    return client.post(page_of(operation), given, follow=True)


def test_from_a_failure_group_one_comes_to_the_preview_and_nothing_is_done(night: Client) -> None:
    group = failure_group("jam", stuck=3)
    there = night.get(reverse("admin:outbox_failuregroup_change", args=[group.pk])).content.decode()
    assert re.search(r'value="retry"[^>]*>Retry all…', there)

    answer = prepare(night, group=group.pk, verb="retry")

    assert "Preview: nothing has been done yet." in text_of(answer)
    assert "Retry 3 messages" in text_of(answer)
    assert Message.objects.exhausted().count() == 3


def test_all_that_match_the_queue_s_filters_are_taken(night: Client) -> None:
    failed_messages(60)
    wins.failed("other", consumer=ORDER)
    queue = night.get(reverse("admin:outbox_message_changelist"), {"consumer": ISSUE}).content.decode()
    assert f'name="consumer" value="{ISSUE}"' in queue

    prepare(night, all="1", consumer=ISSUE, verb="discard")

    assert BulkOperation.objects.get().total == 60


def test_picked_rows_keep_the_revision_that_was_shown(night: Client) -> None:
    seen, changed = wins.failed("1"), wins.failed("2", revision=3)

    prepare(night, pick=[f"{seen.pk}:0", f"{changed.pk}:2"], verb="handle")

    assert list(BulkItem.objects.order_by("pk").values_list("why", flat=True)) == ["", "changed"]


def test_started_with_a_trial_it_runs_and_the_page_tells_how_far_it_is(night: Client) -> None:
    failed_messages(20)
    operation = prepared()

    answer = act(night, operation, "bulk_start", canary="2", stop_percent="10", rate="")
    running.go_on()

    assert "Started." in text_of(answer)
    said = text_of(night.get(page_of(operation)))
    assert "It waits for the outcome of the trial: 2 are not done." in said
    assert "Done 2" in said
    assert "Not done yet 18" in said


def test_what_is_left_out_is_told_and_taken_in_by_a_tick_alone(night: Client) -> None:
    attempt(wins.failed("1", consumer=ORDER), outcome="lost")
    wins.failed("2", consumer=ORDER)
    operation = prepared()
    assert "Also the 1 where the other side may have acted" in text_of(night.get(page_of(operation)))

    act(night, operation, "bulk_start", canary="0", include_suspects="on")

    assert (go_on(operation).done, now(operation).left_out) == (2, 0)


def test_without_the_tick_it_stays_left_out(night: Client) -> None:
    attempt(wins.failed("1", consumer=ORDER), outcome="lost")
    wins.failed("2", consumer=ORDER)
    operation = prepared()

    act(night, operation, "bulk_start", canary="0")

    assert (go_on(operation).done, now(operation).left_out) == (1, 1)


def test_a_refusal_keeps_what_was_entered(night: Client) -> None:
    wins.failed("1")
    first = started()
    second = prepared()

    answer = act(night, second, "bulk_start", rate="7", reason="mine as well")

    assert f"Bulk operation {first.pk} by ada is at work on {ISSUE}" in text_of(answer)
    assert "mine as well" in answer.content.decode()
    assert 'value="7"' in answer.content.decode()


def test_a_second_person_approves_a_discard_on_its_page(night: Client, client: Client) -> None:
    wins.failed("1")
    operation = prepared(verb=BulkVerb.DISCARD)
    act(night, operation, "bulk_start", confirm="on")
    assert "You have started it yourself" in text_of(night.get(page_of(operation)))
    assert "started it yourself" in text_of(act(night, operation, "bulk_approve"))

    client.force_login(user("olaf", *LEAD))
    act(client, operation, "bulk_approve")

    assert go_on(operation).state == BulkState.DONE


@pytest.mark.parametrize("name", ["bulk_pause", "bulk_cancel"])
def test_it_is_held_up_by_a_button(night: Client, name: str) -> None:
    failed_messages(3)
    operation = started(rate=1)

    act(night, operation, name)

    assert now(operation).state == {"bulk_pause": "paused", "bulk_cancel": "cancelled"}[name]


def test_while_the_consumer_is_held_back_the_page_says_what_it_waits_for(night: Client) -> None:
    wins.failed("1")
    set_consumer(ISSUE, breaker="open")
    operation = started()

    assert f"What {ISSUE} needs is down" in text_of(night.get(page_of(operation)))


def test_who_may_not_is_told_and_a_made_up_post_is_refused(client: Client, viewer: User) -> None:
    viewer.user_permissions.add(*user("x", "view_bulkoperation").user_permissions.all())
    client.force_login(viewer)
    wins.failed("1")
    operation = prepared()

    assert "it takes the permission “outbox.bulk_message”" in text_of(client.get(page_of(operation)))
    assert "it takes the permission “outbox.bulk_message”" in text_of(act(client, operation, "bulk_start"))
    assert client.post(reverse(PREPARE), {"all": "1", "verb": "retry"}).status_code == 403
    assert now(operation).state == BulkState.DRAFT


def test_a_list_of_ids_is_taken_from_a_file_or_pasted(night: Client) -> None:
    rows = [wins.failed("1"), wins.failed("2")]
    lines = "\r\n".join(str(row.pk) for row in rows)

    prepare(night, verb="retry", by="ids", text=lines)
    prepare(night, verb="retry", by="keys", file=SimpleUploadedFile("keys.txt", b"\xef\xbb\xbf1\n2\n"))

    assert list(BulkOperation.objects.order_by("pk").values_list("total", flat=True)) == [2, 2]


@pytest.mark.parametrize(
    ("posted", "said"),
    [
        ({"text": ""}, "The list is empty."),
        ({"text": "17x"}, "Line 1 is no message id: “17x”."),
        ({"file": SimpleUploadedFile("ids", b"\xff\xfe")}, "The file is no UTF-8 text."),
        ({"text": "99999999"}, "Nothing matches"),
    ],
)
def test_a_list_that_is_none_says_what_is_wrong(night: Client, posted: dict[str, Any], said: str) -> None:
    assert said in text_of(prepare(night, verb="retry", by="ids", **posted))


def test_what_was_closed_is_undone_from_its_page(night: Client) -> None:
    failed_messages(3)
    operation = prepared(verb=BulkVerb.HANDLE)
    act(night, operation, "bulk_start", outcome="not_due", evidence="none was promised")
    go_on(operation)
    assert "Undo: reopen what it closed…" in text_of(night.get(page_of(operation)))

    prepare(night, of=operation.pk, verb="reopen")
    undo = BulkOperation.objects.latest("pk")
    act(night, undo, "bulk_start")

    assert (go_on(undo).state, Message.objects.exhausted().count()) == (BulkState.DONE, 3)


def test_the_rows_behind_a_figure_are_shown_with_why(night: Client) -> None:
    kept, gone = wins.failed("kept"), wins.failed("gone")
    operation = started()
    Message.objects.filter(pk=gone.pk).delete()
    Message.objects.filter(pk=kept.pk).update(revision=5)
    go_on(operation)

    said = text_of(night.get(page_of(operation), {"show": "refused"}))

    assert "somebody has changed it since" in said
    assert f"message {gone.pk}, which is no longer there" in said


def test_the_list_shows_state_progress_and_who(night: Client) -> None:
    failed_messages(4)
    go_on(started())
    wins.failed("another")
    prepared(verb=BulkVerb.DISCARD)

    said = text_of(night.get(reverse("admin:outbox_bulkoperation_changelist")))

    assert "4 / 4" in said
    assert "ada" in said
    assert "Discard" not in said.split("Prepared")[-1]
    drafts = text_of(night.get(reverse("admin:outbox_bulkoperation_changelist"), {"tab": "drafts"}))
    assert "Discard 1 message" in drafts


@pytest.mark.parametrize("id", ["0", "99", "9" * 5000, "x", "１"])
def test_one_that_is_not_there_leads_to_the_list(night: Client, id: str) -> None:
    answer = night.get(f"/admin/outbox/bulkoperation/{id}/change/", follow=True)

    assert answer.status_code == 200
    assert "is not there" in text_of(answer)


def test_the_story_says_which_token_has_started_it(night: Client) -> None:
    wins.failed()
    by_token = "API token “night shift” ab12cd34, 10.0.0.7"
    operation = started(origin=by_token)

    [event] = night.get(page_of(operation)).context["events"]

    assert (event.title, event.worker) == ("ada started the bulk operation", by_token)
    assert event.changes == ["preview → running"]


def test_the_messages_page_tells_of_the_operation(night: Client) -> None:
    message = wins.failed("1")
    operation = started()
    go_on(operation)

    said = text_of(night.get(reverse("admin:outbox_message_change", args=[message.pk])))

    assert f"ada: retry, in bulk operation {operation.pk}" in said


def test_every_page_takes_twelve_queries_at_most(night: Client, django_assert_max_num_queries: Any) -> None:
    failed_messages(30)
    for _ in range(12):
        operations.cancel(started(rate=1).pk, revision=1, actor="ada", reason="enough")
    operation = go_on(started())
    wins.failed("another")
    night.get(reverse("admin:index"))  # once in a while the session notes that it is used
    for address in (page_of(operation), page_of(operation) + "?show=done", page_of(prepared())):
        with django_assert_max_num_queries(12):
            night.get(address)
    with django_assert_max_num_queries(12):
        night.get(reverse("admin:outbox_bulkoperation_changelist"))
